//! What the built-in library cannot be made from.

use herder_services::library::{Backend, NamespaceSettings, Settings, StoreSettings, open};

async fn refused(settings: Settings) -> String {
    match open(settings, "one", 1).await {
        Ok(_) => panic!("it can be"),
        Err(error) => error.to_string(),
    }
}

fn spaces(names: &[&str], backend: &Backend) -> Settings {
    let space = |name: &&str| NamespaceSettings::new(*name, backend.clone());
    Settings {
        state: names.iter().map(space).collect(),
        ..Settings::default()
    }
}

#[tokio::test]
async fn each_mistake_is_named() {
    for names in [&["A"][..], &["a", "a"], &[""], &["-a"], &["a/b"]] {
        let text = refused(spaces(names, &Backend::Memory)).await;
        assert!(text.contains("is not the name of a namespace"), "{text}");
    }
    let text = refused(spaces(&["a"], &Backend::Store)).await;
    assert_eq!(
        text,
        "namespace a is to be in the store, and no store is named"
    );
    let path = std::path::PathBuf::from("/no/such/directory/state.redb");
    let durability = herder_services::state::Durability::Immediate;
    let text = refused(spaces(&["a"], &Backend::File { path, durability })).await;
    assert!(
        text.starts_with("/no/such/directory/state.redb: "),
        "{text}"
    );
    let store = Some(StoreSettings::new("http://x", "app"));
    let text = refused(Settings {
        store,
        ..Settings::default()
    })
    .await;
    assert!(text.contains("not the address of a store"), "{text}");
}

#[test]
fn backends_are_read_from_text() {
    assert_eq!("memory".parse(), Ok(Backend::Memory));
    assert_eq!("store".parse(), Ok(Backend::Store));
    assert!(matches!("file:/a/b".parse(), Ok(Backend::File { .. })));
    let error = "disk".parse::<Backend>().unwrap_err();
    assert_eq!(error, "\"disk\" is none of memory, file:PATH and store");
}
