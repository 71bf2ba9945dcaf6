//! Which objects and methods a library has, and whether a client fits them.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::canonical;
use super::frame::Target;

/// The longest signature document, in bytes.
pub const MAX_SIGNATURE: usize = 4 * 1024 * 1024;

/// Everything that a library offers.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Signature {
    /// Name of the library.
    pub library: String,
    /// Equal for libraries that offer the same, 16 hex digits.
    pub hash: String,
    /// The objects by name.
    pub objects: BTreeMap<String, ObjectSignature>,
}

/// One object.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ObjectSignature {
    /// What it is for.
    #[serde(default)]
    pub doc: String,
    /// Its number in the library: its place in the order of names.
    pub id: u16,
    /// Equal for objects with the same methods and the same `layout`, 16 hex digits: only then may
    /// values travel as postcard.
    #[serde(default)]
    pub hash: String,
    /// What else must be equal before values may travel as postcard, such as the build of the
    /// program. Postcard writes fields in the order of their declaration, which a schema does not
    /// tell: equal schemas alone do not make two programs understand each other.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub layout: String,
    /// The methods by name.
    pub methods: BTreeMap<String, MethodSignature>,
}

/// One method.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct MethodSignature {
    /// Its number in the object: its place in the order of names.
    pub id: u16,
    /// How it is used.
    pub kind: MethodKind,
    /// What it does.
    #[serde(default)]
    pub doc: String,
    /// What it takes, in order.
    #[serde(default)]
    pub args: Vec<Argument>,
    /// Schema of what it returns, or of each item of a stream.
    #[serde(default)]
    pub returns: Option<Value>,
    /// Schema of the errors that it returns.
    #[serde(default)]
    pub errors: Option<Value>,
    /// Whether two calls do what one does, so that one may be made again.
    #[serde(default)]
    pub idempotent: bool,
    /// How long a call may take unless the caller says otherwise, in milliseconds.
    #[serde(default)]
    pub deadline_ms: Option<u32>,
    /// Whether it takes any number of arguments: a dynamic language does not say how many.
    #[serde(default, skip_serializing_if = "is_false")]
    pub variadic: bool,
}

/// One argument of a method.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// Schema of its values; `true` allows any.
    pub schema: Value,
}

/// How a method is used.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MethodKind {
    /// Called, and answered.
    #[default]
    Call,
    /// Subscribed to: every event in order.
    Events,
    /// Called, never answered.
    Notify,
    /// Subscribed to: a snapshot, then what changes.
    State,
}

/// How a client and a library differ.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Incompatible {
    /// The library lacks an object.
    #[error("the library has no object {object}")]
    NoObject {
        /// Its name.
        object: String,
    },
    /// The object lacks a method.
    #[error("object {object} of the library has no method {method}")]
    NoMethod {
        /// Name of the object.
        object: String,
        /// Name of the method.
        method: String,
    },
    /// The method is another one.
    #[error("{object}.{method}: {what} is {offered} in the library and {expected} in the client")]
    Differs {
        /// Name of the object.
        object: String,
        /// Name of the method.
        method: String,
        /// Which part of the method differs.
        what: String,
        /// What the library has.
        offered: String,
        /// What the client was compiled with.
        expected: String,
    },
}

/// Why a signature document cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// Ids are not the places in the order of names.
    #[error("signature numbers its objects or methods wrongly")]
    BadNumbers,
    /// It is longer than [`MAX_SIGNATURE`].
    #[error("signature of {length} bytes exceeds the limit of {MAX_SIGNATURE}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// It is not the document that it should be.
    #[error("signature cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
}

impl Signature {
    /// The signature of a library: numbers the objects and computes the hashes.
    ///
    /// # Panics
    ///
    /// When there are more than 65,536 objects.
    #[must_use]
    pub fn new(
        library: impl Into<String>,
        objects: impl IntoIterator<Item = (String, ObjectSignature)>,
    ) -> Self {
        let mut objects: BTreeMap<_, _> = objects.into_iter().collect();
        for (place, object) in objects.values_mut().enumerate() {
            object.id = number(place);
            object.complete();
        }
        let hashes: BTreeMap<_, _> = objects
            .iter()
            .map(|(name, object)| (name.as_str(), object.hash.as_str()))
            .collect();
        Signature {
            library: library.into(),
            hash: canonical::hash(&json!(hashes)),
            objects,
        }
    }

    /// A method by name, with the numbers that a call of it carries.
    #[must_use]
    pub fn find(&self, object: &str, method: &str) -> Option<(Target, &MethodSignature)> {
        let object = self.objects.get(object)?;
        let method = object.methods.get(method)?;
        let target = Target {
            object: object.id,
            method: method.id,
        };
        Some((target, method))
    }

    /// Whether a client that was compiled with `expected` for `name` can use this library.
    ///
    /// # Errors
    ///
    /// The first difference.
    pub fn check(&self, name: &str, expected: &ObjectSignature) -> Result<(), Incompatible> {
        let offered = self
            .objects
            .get(name)
            .ok_or_else(|| Incompatible::NoObject {
                object: name.to_owned(),
            })?;
        offered.check(name, expected)
    }

    /// The body of a frame.
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        let text = serde_json::to_vec(self);
        Bytes::from(text.expect("a signature's fields are text, numbers and JSON"))
    }

    /// Reads the body of a frame.
    ///
    /// # Errors
    ///
    /// Any [`SignatureError`].
    pub fn from_json(body: &[u8]) -> Result<Self, SignatureError> {
        if body.len() > MAX_SIGNATURE {
            return Err(SignatureError::TooLong { length: body.len() });
        }
        let signature: Signature = serde_json::from_slice(body)?;
        let mut objects = signature.objects.values().enumerate();
        let numbered = objects.all(|(place, object)| {
            let mut methods = object.methods.values().enumerate();
            usize::from(object.id) == place
                && methods.all(|(place, method)| usize::from(method.id) == place)
        });
        if numbered {
            Ok(signature)
        } else {
            Err(SignatureError::BadNumbers)
        }
    }
}

impl ObjectSignature {
    /// The signature of an object: numbers the methods and computes the hash.
    ///
    /// # Panics
    ///
    /// When there are more than 65,536 methods.
    #[must_use]
    pub fn new(
        doc: impl Into<String>,
        methods: impl IntoIterator<Item = (String, MethodSignature)>,
    ) -> Self {
        let mut object = ObjectSignature {
            doc: doc.into(),
            methods: methods.into_iter().collect(),
            ..ObjectSignature::default()
        };
        object.complete();
        object
    }

    /// The same signature with what else must be equal before values may travel as postcard.
    #[must_use]
    pub fn with_layout(mut self, layout: impl Into<String>) -> Self {
        self.layout = layout.into();
        self.complete();
        self
    }

    /// Whether a client that was compiled with `expected` can use this object, which is called
    /// `name`. More methods than it knows are no difference, nor are texts for people.
    ///
    /// # Errors
    ///
    /// The first difference.
    pub fn check(&self, name: &str, expected: &ObjectSignature) -> Result<(), Incompatible> {
        if self.hash == expected.hash && !self.hash.is_empty() {
            return Ok(());
        }
        for (method, wanted) in &expected.methods {
            let Some(offered) = self.methods.get(method) else {
                return Err(Incompatible::NoMethod {
                    object: name.to_owned(),
                    method: method.clone(),
                });
            };
            if let Some((what, offered, expected)) = offered.difference(wanted) {
                return Err(Incompatible::Differs {
                    object: name.to_owned(),
                    method: method.clone(),
                    what,
                    offered,
                    expected,
                });
            }
        }
        Ok(())
    }

    /// Numbers the methods and computes the hash.
    fn complete(&mut self) {
        for (place, method) in self.methods.values_mut().enumerate() {
            method.id = number(place);
        }
        let methods: BTreeMap<_, _> = self
            .methods
            .iter()
            .map(|(name, method)| (name.as_str(), method.meaning()))
            .collect();
        self.hash = canonical::hash(&json!([self.layout, methods]));
    }
}

impl MethodSignature {
    fn meaning(&self) -> Value {
        let args: Vec<_> = self
            .args
            .iter()
            .map(|arg| json!([arg.name, canonical::meaning(&arg.schema)]))
            .collect();
        json!({
            "kind": self.kind,
            "args": args,
            "returns": self.returns.as_ref().map(canonical::meaning),
            "errors": self.errors.as_ref().map(canonical::meaning),
            "idempotent": self.idempotent,
            "deadline_ms": self.deadline_ms,
            "variadic": self.variadic,
        })
    }

    /// What differs between the library's method, which is this, and the client's: its name, what
    /// the library has, what the client has. Names of arguments are texts for people.
    fn difference(&self, expected: &MethodSignature) -> Option<(String, String, String)> {
        if self.kind != expected.kind {
            let [offered, expected] = [self.kind, expected.kind].map(|kind| json!(kind));
            return Some(("the kind".to_owned(), text(&offered), text(&expected)));
        }
        if self.variadic {
            return None;
        }
        if self.args.len() != expected.args.len() {
            let [offered, expected] = [self, expected].map(|method| method.args.len().to_string());
            return Some(("the number of arguments".to_owned(), offered, expected));
        }
        for (place, (offered, expected)) in self.args.iter().zip(&expected.args).enumerate() {
            let what = || format!("argument {} ({})", place + 1, expected.name);
            if let Some((offered, expected)) = differ(&offered.schema, &expected.schema) {
                return Some((what(), offered, expected));
            }
        }
        let parts = [
            ("the result", &self.returns, &expected.returns),
            ("the error", &self.errors, &expected.errors),
        ];
        parts.into_iter().find_map(|(what, offered, expected)| {
            let [offered, expected] = [offered, expected].map(|part| part.as_ref());
            let [offered, expected] = [offered, expected].map(|part| part.unwrap_or(&Value::Null));
            let (offered, expected) = differ(offered, expected)?;
            Some((what.to_owned(), offered, expected))
        })
    }
}

fn differ(offered: &Value, expected: &Value) -> Option<(String, String)> {
    let [offered, expected] = [offered, expected].map(canonical::meaning);
    (offered != expected).then(|| (text(&offered), text(&expected)))
}

/// The beginning of a schema, for people.
fn text(schema: &Value) -> String {
    const LONGEST: usize = 160;
    let whole = schema.to_string();
    let short = crate::text::truncate(&whole, LONGEST);
    if short.len() < whole.len() {
        format!("{short}…")
    } else {
        whole
    }
}

fn number(place: usize) -> u16 {
    u16::try_from(place).expect("a library has at most 65,536 objects of 65,536 methods")
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives it so")]
fn is_false(value: &bool) -> bool {
    !value
}
