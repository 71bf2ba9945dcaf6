//! The trait itself.

use proc_macro2::TokenStream;
use quote::quote;

use crate::kind::{Kind, StreamForm};
use crate::model::{Method, Model};

pub(super) fn emit(model: &Model) -> TokenStream {
    let Model {
        root,
        vis,
        ident,
        attributes,
        supertraits,
        ..
    } = model;
    let methods = model.methods.iter().map(method);
    quote! {
        #(#attributes)*
        #vis trait #ident: #supertraits
            ::core::marker::Send + ::core::marker::Sync + 'static
        {
            #(#methods)*

            /// A caller is gone: its calls and streams are dropped already, and what it held may
            /// be given to others.
            fn worker_down(&self, caller: &#root::Caller) {
                let _ = caller;
            }
        }
    }
}

fn method(method: &Method) -> TokenStream {
    let Method {
        ident, attributes, ..
    } = method;
    let inputs = inputs(method);
    let output = method.output_type();
    let output = match (&method.kind, method.is_async) {
        (_, true) => quote! {
            impl ::core::future::Future<Output = #output> + ::core::marker::Send
        },
        (
            Kind::Stream {
                form: StreamForm::ImplStream,
                ..
            },
            false,
        ) => quote! {
            #output + ::core::marker::Send
        },
        (Kind::Call { .. } | Kind::Notify | Kind::Stream { .. }, false) => output,
    };
    quote! {
        #(#attributes)*
        fn #ident(&self, #inputs) -> #output;
    }
}

/// What a method takes after `&self`.
pub(super) fn inputs(method: &Method) -> TokenStream {
    let (names, types) = (method.names(), method.types());
    let cx = method
        .cx
        .as_ref()
        .map(|(name, given)| quote!(#name: #given,));
    quote!(#cx #(#names: #types),*)
}
