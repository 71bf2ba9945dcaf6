//! The JSON Schema of our files.

use herder_api::App;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Json, json};

/// The JSON Schema of `herder.toml` (2020-12). It is published as `docs/herder.schema.json`.
#[must_use]
pub fn schema() -> Json {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let app = generator.root_schema_for::<App>();
    let mut app = app.to_value();
    let definitions = app
        .get_mut("$defs")
        .map(Json::take)
        .unwrap_or_else(|| json!({}));
    let mut app = app.as_object().cloned().unwrap_or_default();
    app.retain(|key, _| !matches!(key.as_str(), "$schema" | "$defs" | "title"));
    if let Some(settings) = app.get_mut("properties").and_then(Json::as_object_mut) {
        // The table's name is the app's.
        settings.remove("name");
    }
    app.insert(
        "description".to_owned(),
        Json::from("An app, or what holds for all of them."),
    );
    let mut definitions = definitions.as_object().cloned().unwrap_or_default();
    definitions.insert("App".to_owned(), Json::Object(without_defaults(app)));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "herder.toml",
        "description": "Apps that herder runs.",
        "type": "object",
        "additionalProperties": false,
        "required": ["apps"],
        "properties": {
            "$schema": { "type": "string" },
            "defaults": {
                "description": "What holds for all apps that say nothing else.",
                "$ref": "#/$defs/App",
            },
            "apps": {
                "description": "The apps, by their names.",
                "type": "object",
                "minProperties": 1,
                "propertyNames": { "pattern": "^[A-Za-z0-9._][A-Za-z0-9._-]{0,63}$" },
                "additionalProperties": { "$ref": "#/$defs/App" },
            },
        },
        "$defs": definitions,
    })
}

/// `null` as a default says nothing: what is left out is described in words.
fn without_defaults(mut app: Map<String, Json>) -> Map<String, Json> {
    let settings = app.get_mut("properties").and_then(Json::as_object_mut);
    for setting in settings
        .into_iter()
        .flat_map(|settings| settings.values_mut())
    {
        if let Some(setting) = setting.as_object_mut()
            && setting.get("default").is_some_and(Json::is_null)
        {
            setting.remove("default");
        }
    }
    app
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    #[test]
    fn the_published_schema_is_this_one() {
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/herder.schema.json");
        let now = format!("{:#}\n", schema());
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        let published = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            published, now,
            "run this test with UPDATE_SCHEMA=1 to publish what changed"
        );
    }

    #[test]
    fn it_has_every_setting_and_what_it_means() {
        let schema = schema();
        let described = schema["$defs"]["App"]["properties"].as_object().unwrap();
        for name in settings::all().iter().filter(|name| **name != "name") {
            let setting = described
                .get(*name)
                .unwrap_or_else(|| panic!("{name} is missing"));
            assert!(setting["description"].is_string(), "{name}: {setting}");
        }
        assert_eq!(described.len(), settings::all().len() - 1);
        assert_eq!(schema["$defs"]["App"]["additionalProperties"], false);
    }
}
