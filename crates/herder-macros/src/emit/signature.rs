//! What callers in any language read about the object.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::attribute::StreamKind;
use crate::kind::Kind;
use crate::model::{Method, Model};

/// An expression for the signature.
pub(super) fn emit(model: &Model) -> TokenStream {
    let Model { root, doc, .. } = model;
    let methods = model.methods.iter().map(|one| method(model, one));
    let layout = model
        .is_postcard
        .then(|| quote!(.with_layout(#root::support::layout())));
    quote! {
        #root::ObjectSignature::new(#doc, [#(#methods),*]) #layout
    }
}

fn method(model: &Model, method: &Method) -> TokenStream {
    let root = &model.root;
    let (name, doc) = (method.name(), &method.doc);
    let arguments = method.arguments.iter().map(|(name, given)| {
        let name = name.to_string();
        // Located at the type, for that is where a missing schema is to be added.
        let schema = quote_spanned!(given.span()=> #root::support::taken::<#given>());
        quote!(#root::support::Argument { name: #name.into(), schema: #schema })
    });
    let kind = match &method.kind {
        Kind::Call { .. } => quote!(Call),
        Kind::Notify => quote!(Notify),
        Kind::Stream {
            kind: StreamKind::Events,
            ..
        } => quote!(Events),
        Kind::Stream {
            kind: StreamKind::State,
            ..
        } => quote!(State),
    };
    let returns = match &method.kind {
        Kind::Call { returns: given, .. } | Kind::Stream { item: given, .. } => {
            schema(model, Some(given))
        }
        Kind::Notify => schema(model, None),
    };
    let errors = schema(model, method.own_error());
    let idempotent = method.attribute.idempotent.is_some();
    let deadline = match method.attribute.deadline_ms {
        Some((milliseconds, _)) => quote!(::core::option::Option::Some(#milliseconds)),
        None => quote!(::core::option::Option::None),
    };
    quote! {
        (
            ::std::string::String::from(#name),
            #root::MethodSignature {
                id: 0,
                kind: #root::MethodKind::#kind,
                doc: #doc.into(),
                args: ::std::vec![#(#arguments),*],
                returns: #returns,
                errors: #errors,
                idempotent: #idempotent,
                deadline_ms: #deadline,
                variadic: false,
            },
        )
    }
}

fn schema(model: &Model, given: Option<&syn::Type>) -> TokenStream {
    let root = &model.root;
    match given {
        Some(given) => {
            let schema = quote_spanned!(given.span()=> #root::support::returned::<#given>());
            quote!(::core::option::Option::Some(#schema))
        }
        None => quote!(::core::option::Option::None),
    }
}
