//! The client.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::Type;

use super::signature;
use crate::kind::{Failure, Kind};
use crate::model::{Method, Model};

pub(super) fn emit(model: &Model) -> TokenStream {
    let Model {
        root,
        vis,
        ident,
        name,
        ..
    } = model;
    let client = model.client();
    let doc = format!("The client of the object `{name}`; see [`{ident}`].");
    let methods = model.methods.iter().zip(0_u16..);
    let methods = methods.map(|(one, number)| method(model, one, number));
    let signature = signature::emit(model);
    quote! {
        #[doc = #doc]
        #[derive(Clone, Debug)]
        #vis struct #client {
            proxy: #root::client::Proxy,
        }

        #[allow(dead_code)]
        impl #client {
            #(#methods)*
        }

        impl #root::client::Client for #client {
            const NAME: &'static str = #name;

            fn signature() -> ::std::sync::Arc<#root::ObjectSignature> {
                static SIGNATURE: ::std::sync::OnceLock<
                    ::std::sync::Arc<#root::ObjectSignature>,
                > = ::std::sync::OnceLock::new();
                let signature = SIGNATURE.get_or_init(|| ::std::sync::Arc::new(#signature));
                ::std::sync::Arc::clone(signature)
            }

            fn new(proxy: #root::client::Proxy) -> Self {
                Self { proxy }
            }
        }
    }
}

fn method(model: &Model, method: &Method, number: u16) -> TokenStream {
    let Model { root, vis, .. } = model;
    let ident = &method.ident;
    let docs = method
        .attributes
        .iter()
        .filter(|one| one.path().is_ident("doc"));
    let docs = quote!(#(#docs)*);
    let (inputs, values) = (inputs(method), values(method));
    let given = method.tuple_type();
    match &method.kind {
        Kind::Stream { item, .. } => {
            let with = format_ident!("{ident}_with");
            let doc = format!("The same as `{}`, with other options.", method.name());
            quote! {
                #docs
                #vis fn #ident(&self, #inputs) -> #root::client::Subscription<#item> {
                    let __options = #root::client::StreamOptions::default();
                    self.proxy.subscribe(#number, #values, &__options)
                }

                #[doc = #doc]
                #vis fn #with(
                    &self,
                    __options: &#root::client::StreamOptions,
                    #inputs
                ) -> #root::client::Subscription<#item> {
                    self.proxy.subscribe(#number, #values, __options)
                }
            }
        }
        Kind::Call { .. } | Kind::Notify => {
            let (returns, error) = outcome(model, method);
            quote! {
                #docs
                #vis fn #ident(
                    &self,
                    #inputs
                ) -> #root::client::TypedCall<#given, #returns, #error> {
                    #root::client::TypedCall::new(&self.proxy, #number, #values)
                }
            }
        }
    }
}

/// What a call returns and how it fails, for its caller.
fn outcome(model: &Model, method: &Method) -> (TokenStream, TokenStream) {
    let root = &model.root;
    match &method.kind {
        Kind::Call {
            returns,
            error: Failure::Own(error),
        } => (quote!(#returns), quote!(#root::client::RpcError<#error>)),
        Kind::Call {
            returns,
            error: Failure::Call | Failure::Never,
        } => (quote!(#returns), quote!(#root::CallError)),
        Kind::Notify | Kind::Stream { .. } => (quote!(()), quote!(#root::CallError)),
    }
}

/// The arguments, more freely than the object takes them: a text is whatever becomes one.
fn inputs(method: &Method) -> TokenStream {
    let inputs = method
        .arguments
        .iter()
        .map(|(name, given)| match is_text(given) {
            true => quote!(#name: impl ::core::convert::Into<#given>),
            false => quote!(#name: #given),
        });
    quote!(#(#inputs),*)
}

fn values(method: &Method) -> TokenStream {
    let values = method
        .arguments
        .iter()
        .map(|(name, given)| match is_text(given) {
            true => quote!(#name.into()),
            false => quote!(#name),
        });
    match method.arguments.is_empty() {
        true => quote!([(); 0]),
        false => quote!((#(#values,)*)),
    }
}

fn is_text(given: &Type) -> bool {
    match given {
        Type::Path(path) => path.path.is_ident("String"),
        _ => false,
    }
}
