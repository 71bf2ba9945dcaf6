//! What a method returns, and so how it is used.

use syn::spanned::Spanned;
use syn::{
    Error, GenericArgument, PathArguments, Result, ReturnType, Signature, Type, TypeParamBound,
    parse_quote,
};

use crate::attribute::{MethodAttribute, StreamKind};

/// How a method is used.
pub(crate) enum Kind {
    Call {
        returns: Type,
        error: Failure,
    },
    Notify,
    Stream {
        kind: StreamKind,
        item: Type,
        form: StreamForm,
    },
}

/// How a method fails.
pub(crate) enum Failure {
    /// With an error of its own.
    Own(Box<Type>),
    /// With the error of calls, which it makes itself.
    Call,
    /// It does not.
    Never,
}

/// What a stream's method returns.
pub(crate) enum StreamForm {
    Feed,
    FallibleFeed(Failure),
    ImplStream,
}

impl Kind {
    pub(crate) fn of(signature: &Signature, attribute: &MethodAttribute) -> Result<Self> {
        match (attribute.stream, attribute.notify) {
            (Some((_, span)), Some(_)) => Err(Error::new(
                span,
                "a stream is subscribed to, a `notify` is called",
            )),
            (Some((kind, _)), None) => stream(signature, kind),
            (None, Some(_)) => notify(signature),
            (None, None) => call(signature),
        }
    }
}

fn call(signature: &Signature) -> Result<Kind> {
    if signature.asyncness.is_none() {
        let message = format!(
            "`{}` must be an `async fn`, for its callers wait for it; a method without an answer \
             is `#[herder(notify)]`, a stream `#[herder(stream = \"…\")]`",
            signature.ident
        );
        return Err(Error::new(signature.fn_token.span, message));
    }
    let returns = returned(signature);
    if let Type::ImplTrait(hidden) = &returns {
        return Err(Error::new(
            hidden.span(),
            "callers must know the type; a stream says `#[herder(stream = \"…\")]`",
        ));
    }
    let (returns, error) = match result(&returns)? {
        Some((returns, error)) => (returns, failure(error)),
        None => (returns, Failure::Never),
    };
    Ok(Kind::Call { returns, error })
}

fn notify(signature: &Signature) -> Result<Kind> {
    match &signature.output {
        ReturnType::Default => Ok(Kind::Notify),
        ReturnType::Type(_, returns) => Err(Error::new(
            returns.span(),
            "nobody waits for a `notify`: it returns nothing",
        )),
    }
}

fn stream(signature: &Signature, kind: StreamKind) -> Result<Kind> {
    let returns = returned(signature);
    let wrong = || {
        let message = "a stream returns `Feed<T>`, `Result<Feed<T>, E>` or \
                       `impl Stream<Item = T>`";
        Error::new(returns.span(), message)
    };
    if let Type::ImplTrait(hidden) = &returns {
        if let Some(token) = signature.asyncness {
            return Err(Error::new(
                token.span,
                "an `async fn` returns a `Feed<T>`, not a stream",
            ));
        }
        let item = hidden
            .bounds
            .iter()
            .find_map(stream_item)
            .ok_or_else(wrong)?;
        return Ok(Kind::Stream {
            kind,
            item,
            form: StreamForm::ImplStream,
        });
    }
    if let Some((feed, error)) = result(&returns)? {
        let item = generic(&feed, "Feed")
            .and_then(|mut found| found.pop())
            .ok_or_else(wrong)?;
        return Ok(Kind::Stream {
            kind,
            item,
            form: StreamForm::FallibleFeed(failure(error)),
        });
    }
    let item = generic(&returns, "Feed")
        .and_then(|mut found| found.pop())
        .ok_or_else(wrong)?;
    Ok(Kind::Stream {
        kind,
        item,
        form: StreamForm::Feed,
    })
}

fn returned(signature: &Signature) -> Type {
    match &signature.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, returns) => (**returns).clone(),
    }
}

/// The two types of a `Result<T, E>`.
fn result(returns: &Type) -> Result<Option<(Type, Type)>> {
    let Some(mut types) = generic(returns, "Result") else {
        return Ok(None);
    };
    match (types.pop(), types.pop(), types.pop()) {
        (Some(error), Some(value), None) => Ok(Some((value, error))),
        _ => Err(Error::new(
            returns.span(),
            "callers must know the error: write both types, `Result<T, E>`",
        )),
    }
}

fn failure(error: Type) -> Failure {
    if last_segment(&error).is_some_and(|last| last.ident == "CallError") {
        Failure::Call
    } else {
        Failure::Own(Box::new(error))
    }
}

/// The type arguments of a path that ends in `name`.
fn generic(given: &Type, name: &str) -> Option<Vec<Type>> {
    let last = last_segment(given).filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return Some(Vec::new());
    };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(one) => Some(one.clone()),
        _ => None,
    });
    Some(types.collect())
}

fn last_segment(given: &Type) -> Option<&syn::PathSegment> {
    match given {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// `T` of `Stream<Item = T>`.
fn stream_item(bound: &TypeParamBound) -> Option<Type> {
    let TypeParamBound::Trait(bound) = bound else {
        return None;
    };
    let last = bound
        .path
        .segments
        .last()
        .filter(|last| last.ident == "Stream")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(item) if item.ident == "Item" => Some(item.ty.clone()),
        _ => None,
    })
}
