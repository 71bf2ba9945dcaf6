//! The mock: an implementation made of closures.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::written;
use crate::kind::{Kind, StreamForm};
use crate::model::{Method, Model};

pub(super) fn emit(model: &Model) -> TokenStream {
    let Model { vis, ident, .. } = model;
    let mock = model.mock();
    let doc = format!(
        "An implementation of [`{ident}`] made of closures, for tests. A method that was not given \
         one panics."
    );
    let fields = model.methods.iter().map(|method| {
        let (ident, closure) = (&method.ident, closure(model, method));
        quote!(#ident: ::core::option::Option<::std::boxed::Box<#closure>>)
    });
    let setters = model.methods.iter().map(|method| setter(model, method));
    let methods = model.methods.iter().map(|method| answer(model, method));
    quote! {
        #[doc = #doc]
        #[allow(dead_code)]
        #[derive(Default)]
        #vis struct #mock {
            #(#fields,)*
        }

        #[allow(dead_code, clippy::type_complexity)]
        impl #mock {
            /// A mock without answers.
            #vis fn new() -> Self {
                ::core::default::Default::default()
            }

            #(#setters)*
        }

        #[allow(unused_variables)]
        impl #ident for #mock {
            #(#methods)*
        }
    }
}

/// The type of what is kept for a method.
fn closure(model: &Model, method: &Method) -> TokenStream {
    let (root, types) = (&model.root, method.types());
    let kept = match &method.kind {
        Kind::Stream {
            form: StreamForm::ImplStream,
            item,
            ..
        } => stream(model, item),
        Kind::Call { .. } | Kind::Notify | Kind::Stream { .. } => method.output_type(),
    };
    let kept = match method.is_async {
        true => quote!(#root::BoxFuture<'static, #kept>),
        false => kept,
    };
    quote!(dyn Fn(#(#types),*) -> #kept + ::core::marker::Send + ::core::marker::Sync)
}

fn stream(model: &Model, item: &syn::Type) -> TokenStream {
    let root = &model.root;
    quote! {
        ::core::pin::Pin<::std::boxed::Box<
            dyn #root::support::Stream<Item = #item> + ::core::marker::Send,
        >>
    }
}

fn setter(model: &Model, method: &Method) -> TokenStream {
    let Model { root, vis, .. } = model;
    let (ident, types, names) = (&method.ident, method.types(), method.names());
    let name = method.name();
    let on = format_ident!("on_{name}");
    let doc = format!("What `{name}` does.");
    let output = method.output_type();
    let (bound, boxed) = match (&method.kind, method.is_async) {
        (_, true) => (
            quote!(::core::future::Future<Output = #output> + ::core::marker::Send + 'static),
            quote!(::std::boxed::Box::pin(__answer(#(#names),*))),
        ),
        (
            Kind::Stream {
                form: StreamForm::ImplStream,
                item,
                ..
            },
            false,
        ) => (
            quote!(#root::support::Stream<Item = #item> + ::core::marker::Send + 'static),
            quote!(::std::boxed::Box::pin(__answer(#(#names),*))),
        ),
        (Kind::Call { .. } | Kind::Notify | Kind::Stream { .. }, false) => {
            return quote! {
                #[doc = #doc]
                #[must_use]
                #vis fn #on(
                    mut self,
                    __answer: impl Fn(#(#types),*) -> #output
                        + ::core::marker::Send + ::core::marker::Sync + 'static,
                ) -> Self {
                    self.#ident = ::core::option::Option::Some(::std::boxed::Box::new(__answer));
                    self
                }
            };
        }
    };
    quote! {
        #[doc = #doc]
        #[must_use]
        #vis fn #on<Answer: #bound>(
            mut self,
            __answer: impl Fn(#(#types),*) -> Answer
                + ::core::marker::Send + ::core::marker::Sync + 'static,
        ) -> Self {
            self.#ident = ::core::option::Option::Some(::std::boxed::Box::new(
                move |#(#names: #types),*| #boxed,
            ));
            self
        }
    }
}

fn answer(model: &Model, method: &Method) -> TokenStream {
    let (ident, names) = (&method.ident, method.names());
    let inputs = written::inputs(method);
    let missing = format!(
        "{}::{} was called, and no answer was given",
        model.mock(),
        method.name()
    );
    let closure = quote!(self.#ident.as_ref().expect(#missing));
    let output = match &method.kind {
        Kind::Stream {
            form: StreamForm::ImplStream,
            item,
            ..
        } => {
            let root = &model.root;
            quote! {
                impl #root::support::Stream<Item = #item> + ::core::marker::Send
            }
        }
        Kind::Call { .. } | Kind::Notify | Kind::Stream { .. } => method.output_type(),
    };
    match method.is_async {
        true => quote! {
            async fn #ident(&self, #inputs) -> #output {
                (#closure)(#(#names),*).await
            }
        },
        false => quote! {
            fn #ident(&self, #inputs) -> #output {
                (#closure)(#(#names),*)
            }
        },
    }
}
