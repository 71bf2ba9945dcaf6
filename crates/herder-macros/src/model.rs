//! The trait, checked.

use proc_macro2::{Span, TokenStream};
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, Ident, ItemTrait, Lit, Meta, Pat, Path, ReceiverKind,
    Result, Signature, TraitItem, TraitItemFn, Type, Visibility,
};

use crate::attribute::{MethodAttribute, ObjectAttribute, check_name};
use crate::kind::Kind;

/// serde reads and writes tuples up to this size.
const MOST_ARGUMENTS: usize = 16;

/// An object, as its trait describes it.
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) is_postcard: bool,
    /// Where `herder_rpc` is.
    pub(crate) root: Path,
    pub(crate) vis: Visibility,
    pub(crate) ident: Ident,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) supertraits: TokenStream,
    pub(crate) doc: String,
    /// In the order of names, which numbers them.
    pub(crate) methods: Vec<Method>,
}

/// One method.
pub(crate) struct Method {
    pub(crate) ident: Ident,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) doc: String,
    pub(crate) is_async: bool,
    /// The type of `cx`, when it takes one.
    pub(crate) cx: Option<(Ident, Type)>,
    pub(crate) arguments: Vec<(Ident, Type)>,
    pub(crate) output: syn::ReturnType,
    pub(crate) kind: Kind,
    pub(crate) attribute: MethodAttribute,
}

impl Model {
    pub(crate) fn parse(attribute: TokenStream, item: TokenStream) -> Result<Self> {
        let attribute = ObjectAttribute::parse(attribute)?;
        let item: ItemTrait = syn::parse2(item).map_err(|error| {
            let message = format!("`#[herder::object]` is written on a trait ({error})");
            Error::new(Span::call_site(), message)
        })?;
        check_trait(&item)?;
        let name = match &attribute.name {
            Some(name) => name.value(),
            None => snake_case(&item.ident.to_string()),
        };
        let mut methods = Vec::new();
        let mut errors: Option<Error> = None;
        for one in item.items {
            match Method::parse(one) {
                Ok(method) => methods.push(method),
                Err(error) => match &mut errors {
                    Some(errors) => errors.combine(error),
                    None => errors = Some(error),
                },
            }
        }
        if let Some(errors) = errors {
            return Err(errors);
        }
        methods.sort_by_key(|method: &Method| method.name());
        let bounds = item.supertraits.iter();
        Ok(Self {
            name,
            is_postcard: attribute.is_postcard,
            root: attribute.root,
            vis: item.vis,
            ident: item.ident,
            doc: doc(&item.attrs),
            attributes: item.attrs,
            supertraits: quote::quote!(#(#bounds +)*),
            methods,
        })
    }
}

impl Method {
    /// The name without `r#`.
    pub(crate) fn name(&self) -> String {
        name(&self.ident)
    }

    fn parse(item: TraitItem) -> Result<Self> {
        let TraitItem::Fn(TraitItemFn {
            mut attrs,
            sig,
            default,
            ..
        }) = item
        else {
            return Err(Error::new(
                item.span(),
                "an object has methods and nothing else",
            ));
        };
        if let Some(body) = default {
            let message = "the methods of an object have no body here: callers would not run it";
            return Err(Error::new(body.span(), message));
        }
        let attribute = MethodAttribute::take_from(&mut attrs)?;
        check_signature(&sig)?;
        let (cx, arguments) = arguments(&sig)?;
        let kind = Kind::of(&sig, &attribute)?;
        check_attribute(&kind, &attribute)?;
        Ok(Self {
            ident: sig.ident,
            doc: doc(&attrs),
            attributes: attrs,
            is_async: sig.asyncness.is_some(),
            cx,
            arguments,
            output: sig.output,
            kind,
            attribute,
        })
    }
}

fn check_trait(item: &ItemTrait) -> Result<()> {
    if !item.generics.params.is_empty() || item.generics.where_clause.is_some() {
        let message = "an object has no type parameters: callers know it by its name alone";
        return Err(Error::new(item.generics.span(), message));
    }
    if let Some(token) = item.unsafety {
        return Err(Error::new(token.span, "an object's trait is not `unsafe`"));
    }
    Ok(())
}

fn check_signature(signature: &Signature) -> Result<()> {
    let ident = &signature.ident;
    check_name(&name(ident), ident.span())?;
    if ident == "worker_down" {
        let message = "`worker_down` is what every object has: it is told that a caller is gone";
        return Err(Error::new(ident.span(), message));
    }
    if !signature.generics.params.is_empty() {
        let message = "a method has no type parameters: callers send it values of one type";
        return Err(Error::new(signature.generics.span(), message));
    }
    let receiver = signature.receiver();
    let is_shared = receiver
        .is_some_and(|receiver| matches!(receiver.kind, ReceiverKind::Reference(_, _, None)));
    if is_shared {
        return Ok(());
    }
    let span = receiver.map_or(ident.span(), Spanned::span);
    Err(Error::new(
        span,
        "a method takes `&self`: many callers use the object at a time",
    ))
}

/// `cx: &Cx` if it is there, and the arguments.
#[expect(clippy::type_complexity, reason = "one name and one type for each")]
fn arguments(signature: &Signature) -> Result<(Option<(Ident, Type)>, Vec<(Ident, Type)>)> {
    let (mut cx, mut arguments) = (None, Vec::new());
    for (place, input) in signature.inputs.iter().skip(1).enumerate() {
        let FnArg::Typed(typed) = input else { continue };
        let Pat::Ident(pattern) = &*typed.pat else {
            return Err(Error::new(
                typed.pat.span(),
                "an argument has a name: callers see it",
            ));
        };
        let ident = pattern.ident.clone();
        match &*typed.ty {
            Type::Reference(reference) if is_cx(&reference.elem) => {
                if place > 0 {
                    return Err(Error::new(typed.span(), "`cx: &Cx` comes first"));
                }
                cx = Some((ident, (*typed.ty).clone()));
            }
            Type::Reference(reference) => {
                let message = "arguments come from another process: take them by value \
                               (`String`, `Vec<T>`)";
                return Err(Error::new(reference.span(), message));
            }
            Type::ImplTrait(hidden) => {
                return Err(Error::new(hidden.span(), "callers must know the type"));
            }
            other => arguments.push((ident, other.clone())),
        }
    }
    if arguments.len() > MOST_ARGUMENTS {
        let message = format!("a method takes at most {MOST_ARGUMENTS} arguments");
        return Err(Error::new(signature.inputs.span(), message));
    }
    Ok((cx, arguments))
}

fn is_cx(given: &Type) -> bool {
    match given {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|last| last.ident == "Cx"),
        _ => false,
    }
}

/// What is written must mean something for this kind of method.
fn check_attribute(kind: &Kind, attribute: &MethodAttribute) -> Result<()> {
    let nonsense = |span: Span, message: &str| Err(Error::new(span, message));
    if let (Kind::Notify | Kind::Stream { .. }, Some(span)) = (kind, attribute.idempotent) {
        return nonsense(span, "`idempotent` is for calls: only they are made again");
    }
    if let (Kind::Notify, Some((_, span))) = (kind, attribute.deadline_ms) {
        return nonsense(span, "nobody waits for a `notify`: it has no deadline");
    }
    let limit = attribute.concurrency.as_ref().or(attribute.queue.as_ref());
    if let (Kind::Stream { .. }, Some(limit)) = (kind, limit) {
        return nonsense(
            limit.span(),
            "`concurrency` and `queue` are for calls, not for streams",
        );
    }
    Ok(())
}

/// The text of the doc comments.
fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(text),
                    ..
                }) => Some(text.value()),
                _ => None,
            },
            _ => None,
        });
    let lines: Vec<_> = lines.map(|line| line.trim().to_owned()).collect();
    lines.join("\n").trim().to_owned()
}

fn name(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").unwrap_or(&text).to_owned()
}

fn snake_case(camel: &str) -> String {
    let mut snake = String::new();
    for letter in camel.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
