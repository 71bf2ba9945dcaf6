//! Reading a namespace page by page.

use super::error::StateError;
use super::namespace::{Entry, State};

/// How many entries a page has, if nothing is said.
const PAGE: u32 = 100;

/// The values whose keys have a common beginning, page by page.
///
/// What is written meanwhile may or may not be among them; what was there all the time, is.
///
/// ```no_run
/// # use herder::state::{State, StateError};
/// # async fn example(state: State) -> Result<(), StateError> {
/// let mut scan = state.scan("user/");
/// while let Some(page) = scan.next().await? {
///     for (key, entry) in page {
///         println!("{key} has revision {}", entry.revision);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Scan {
    state: State,
    prefix: String,
    page: u32,
    next: Next,
}

#[derive(Clone, Debug)]
enum Next {
    First,
    After(String),
    Nothing,
}

impl Scan {
    pub(super) fn new(state: &State, prefix: &str) -> Scan {
        Scan {
            state: state.clone(),
            prefix: prefix.to_owned(),
            page: PAGE,
            next: Next::First,
        }
    }

    /// How many entries a page has: 1 to 1000. Default: 100.
    #[must_use]
    pub fn page(mut self, entries: u32) -> Scan {
        self.page = entries.max(1);
        self
    }

    /// Begins after this key.
    #[must_use]
    pub fn after(mut self, key: impl Into<String>) -> Scan {
        self.next = Next::After(key.into());
        self
    }

    /// The next page, of at least one entry; `None` when there are no more. After an error the same
    /// page can be asked for again.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn next(&mut self) -> Result<Option<Vec<(String, Entry)>>, StateError> {
        loop {
            let after = match &self.next {
                Next::First => None,
                Next::After(key) => Some(key.clone()),
                Next::Nothing => return Ok(None),
            };
            let state = &self.state;
            let call = state
                .client()?
                .scan(state.space(), &self.prefix, after, self.page);
            let page = state.timed(call).await?;
            self.next = page.next.map_or(Next::Nothing, Next::After);
            if !page.entries.is_empty() {
                let entries = page.entries.into_iter();
                let entries = entries.map(|(key, entry)| (key, Entry::from(entry)));
                return Ok(Some(entries.collect()));
            }
        }
    }
}
