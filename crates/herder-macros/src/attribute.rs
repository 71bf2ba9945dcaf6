//! What is written in `#[object(…)]` and `#[herder(…)]`.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::{Attribute, Error, LitInt, LitStr, Path, Result, parse_quote};

/// What is written on the trait.
pub(crate) struct ObjectAttribute {
    pub(crate) name: Option<LitStr>,
    pub(crate) is_postcard: bool,
    pub(crate) root: Path,
}

/// What is written on a method.
#[derive(Default)]
pub(crate) struct MethodAttribute {
    pub(crate) idempotent: Option<Span>,
    pub(crate) deadline_ms: Option<(u32, Span)>,
    pub(crate) notify: Option<Span>,
    pub(crate) stream: Option<(StreamKind, Span)>,
    pub(crate) concurrency: Option<LitInt>,
    pub(crate) queue: Option<LitInt>,
}

/// What a stream is a stream of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StreamKind {
    Events,
    State,
}

impl ObjectAttribute {
    pub(crate) fn parse(tokens: proc_macro2::TokenStream) -> Result<Self> {
        let mut attribute = Self {
            name: None,
            is_postcard: false,
            root: parse_quote!(::herder::rpc),
        };
        let parser = syn::meta::parser(|meta| attribute.take(&meta));
        parser.parse2(tokens)?;
        Ok(attribute)
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("name") {
            let name: LitStr = meta.value()?.parse()?;
            check_name(&name.value(), name.span())?;
            self.name = Some(name);
        } else if meta.path.is_ident("codec") {
            let codec: LitStr = meta.value()?.parse()?;
            self.is_postcard = match codec.value().as_str() {
                "json" => false,
                "postcard" => true,
                _ => {
                    return Err(Error::new(
                        codec.span(),
                        "a codec is \"json\" or \"postcard\"",
                    ));
                }
            };
        } else if meta.path.is_ident("crate") {
            self.root = meta.value()?.call(Path::parse_mod_style)?;
        } else {
            return Err(meta.error("an object has a `name`, a `codec` and a `crate`"));
        }
        Ok(())
    }
}

impl MethodAttribute {
    /// Takes the `#[herder(…)]` out of a method's attributes.
    pub(crate) fn take_from(attributes: &mut Vec<Attribute>) -> Result<Self> {
        let mut taken = Self::default();
        let (ours, others) = attributes
            .drain(..)
            .partition::<Vec<_>, _>(|one| one.path().is_ident("herder"));
        *attributes = others;
        for attribute in ours {
            attribute.parse_nested_meta(|meta| taken.take(&meta))?;
        }
        Ok(taken)
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let name = meta
            .path
            .get_ident()
            .map(ToString::to_string)
            .unwrap_or_default();
        let span = meta
            .path
            .get_ident()
            .map_or_else(Span::call_site, syn::Ident::span);
        match name.as_str() {
            "idempotent" => self.idempotent = Some(span),
            "notify" => self.notify = Some(span),
            "deadline" => {
                let time: LitStr = meta.value()?.parse()?;
                self.deadline_ms = Some((milliseconds(&time)?, span));
            }
            "stream" => {
                let kind: LitStr = meta.value()?.parse()?;
                self.stream = Some((stream_kind(&kind)?, span));
            }
            "concurrency" => self.concurrency = Some(positive(meta.value()?.parse()?)?),
            "queue" => self.queue = Some(number(meta.value()?.parse()?)?),
            _ => {
                return Err(meta.error(
                    "a method has `idempotent`, `deadline`, `notify`, `stream`, `concurrency` \
                     and `queue`",
                ));
            }
        }
        Ok(())
    }
}

/// Whether callers in any language can write the name.
pub(crate) fn check_name(name: &str, span: Span) -> Result<()> {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts = name
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic());
    if starts && name.bytes().all(letters) {
        return Ok(());
    }
    let message = format!("`{name}` is no name: it is a letter, then letters, digits and `_`");
    Err(Error::new(span, message))
}

fn stream_kind(kind: &LitStr) -> Result<StreamKind> {
    match kind.value().as_str() {
        "events" => Ok(StreamKind::Events),
        "state" => Ok(StreamKind::State),
        _ => Err(Error::new(
            kind.span(),
            "a stream is of \"state\" or of \"events\"",
        )),
    }
}

fn milliseconds(time: &LitStr) -> Result<u32> {
    let text = time.value();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        _ => None,
    };
    let count = count.parse::<u32>().ok();
    let product = count
        .zip(factor)
        .and_then(|(count, factor)| count.checked_mul(factor));
    product.filter(|product| *product > 0).ok_or_else(|| {
        let message = format!("`{text}` is no time: write \"200ms\", \"5s\" or \"1m\"");
        Error::new(time.span(), message)
    })
}

fn number(literal: LitInt) -> Result<LitInt> {
    literal.base10_parse::<u32>()?;
    Ok(literal)
}

fn positive(literal: LitInt) -> Result<LitInt> {
    if literal.base10_parse::<u32>()? == 0 {
        return Err(Error::new(
            literal.span(),
            "at least one call must be able to run",
        ));
    }
    Ok(literal)
}
