//! The object as a library takes it: from numbers and bytes to methods.

use proc_macro2::TokenStream;
use quote::quote;

use crate::kind::{Failure, Kind, StreamForm};
use crate::model::{Method, Model};

pub(super) fn emit(model: &Model) -> TokenStream {
    let held = held(model);
    let dispatch = dispatch(model);
    quote! {
        #held
        #dispatch
    }
}

/// The type that a library is given.
fn held(model: &Model) -> TokenStream {
    let Model {
        root,
        vis,
        ident,
        name,
        ..
    } = model;
    let object = model.object();
    let doc =
        format!("The object `{name}`, as a library takes it: an implementation of [`{ident}`].");
    quote! {
        #[doc = #doc]
        #[allow(dead_code)]
        #vis struct #object<T>(::std::sync::Arc<T>);

        #[allow(dead_code)]
        impl<T: #ident> #object<T> {
            /// The object that this implementation is.
            #vis fn new(implementation: T) -> Self {
                Self(::std::sync::Arc::new(implementation))
            }

            /// The object of an implementation that others hold, too.
            #vis fn shared(implementation: ::std::sync::Arc<T>) -> Self {
                Self(implementation)
            }
        }

        impl<T: #ident> #root::server::IntoObject for #object<T> {
            fn into_object(
                self,
            ) -> (::std::string::String, ::std::sync::Arc<dyn #root::server::Object>) {
                (#name.into(), ::std::sync::Arc::new(self))
            }
        }
    }
}

fn dispatch(model: &Model) -> TokenStream {
    let Model { root, ident, .. } = model;
    let (object, client) = (model.object(), model.client());
    let limits = model
        .methods
        .iter()
        .zip(0_u16..)
        .filter_map(|(method, number)| {
            let limits = limits(model, method)?;
            Some(quote!(#number => #limits,))
        });
    let call = entry(
        model,
        call,
        (&quote!(call), &quote!(#root::Reply), &quote!()),
    );
    let sink = quote!(__sink: #root::server::Sink,);
    let subscribe = entry(model, stream, (&quote!(subscribe), &quote!(()), &sink));
    quote! {
        #[allow(unused_variables)]
        impl<T: #ident> #root::server::Object for #object<T> {
            fn signature(&self) -> #root::ObjectSignature {
                (*<#client as #root::client::Client>::signature()).clone()
            }

            fn limits(&self, method: u16) -> #root::server::MethodLimits {
                match method {
                    #(#limits)*
                    _ => ::core::default::Default::default(),
                }
            }

            #call

            #subscribe

            fn worker_down(&self, caller: &#root::Caller) {
                <T as #ident>::worker_down(&self.0, caller);
            }
        }
    }
}

/// A method of the object's trait that leads to those of the user's, by number.
fn entry(
    model: &Model,
    body: impl Fn(&Model, &Method) -> Option<TokenStream>,
    (function, returns, more): (&TokenStream, &TokenStream, &TokenStream),
) -> TokenStream {
    let Model { root, name, .. } = model;
    let arms = arms(model, body);
    quote! {
        fn #function(
            self: ::std::sync::Arc<Self>,
            __cx: #root::Cx,
            __method: u16,
            __args: #root::Args,
            #more
        ) -> #root::BoxFuture<'static, ::core::result::Result<#returns, #root::CallError>> {
            match __method {
                #(#arms)*
                _ => #root::support::no_method(#name, __method),
            }
        }
    }
}

/// One arm for each method that has one, by number.
fn arms(model: &Model, body: impl Fn(&Model, &Method) -> Option<TokenStream>) -> Vec<TokenStream> {
    let methods = model.methods.iter().zip(0_u16..);
    let arms = methods.filter_map(|(method, number)| {
        let body = body(model, method)?;
        let (tuple, given) = (method.tuple(), method.tuple_type());
        Some(quote! {
            #number => ::std::boxed::Box::pin(async move {
                let #tuple = __args.decode::<#given>()?;
                #body
            }),
        })
    });
    arms.collect()
}

fn limits(model: &Model, method: &Method) -> Option<TokenStream> {
    let (concurrency, queue) = (&method.attribute.concurrency, &method.attribute.queue);
    if concurrency.is_none() && queue.is_none() {
        return None;
    }
    let root = &model.root;
    let concurrency = concurrency
        .as_ref()
        .map(|limit| quote!(limits.concurrency = #limit;));
    let queue = queue.as_ref().map(|limit| quote!(limits.queue = #limit;));
    Some(quote! {{
        let mut limits = #root::server::MethodLimits::default();
        #concurrency
        #queue
        limits
    }})
}

fn invoked(model: &Model, method: &Method) -> TokenStream {
    let (the_trait, ident, names) = (&model.ident, &method.ident, method.names());
    let cx = method.cx.as_ref().map(|_| quote!(&__cx,));
    let awaited = method.is_async.then(|| quote!(.await));
    quote!(<T as #the_trait>::#ident(&self.0, #cx #(#names),*) #awaited)
}

fn call(model: &Model, method: &Method) -> Option<TokenStream> {
    let root = &model.root;
    let invoked = invoked(model, method);
    match &method.kind {
        Kind::Call {
            error: Failure::Own(_),
            ..
        } => Some(quote! {
            #root::support::reply(#root::support::codec(&__args), #invoked)
        }),
        Kind::Call {
            error: Failure::Call,
            ..
        } => Some(quote! {
            #root::Reply::encode(#root::support::codec(&__args), &#invoked?)
        }),
        Kind::Call {
            error: Failure::Never,
            ..
        } => Some(quote! {
            #root::Reply::encode(#root::support::codec(&__args), &#invoked)
        }),
        Kind::Notify => Some(quote! {
            #invoked;
            #root::Reply::encode(#root::support::codec(&__args), &())
        }),
        Kind::Stream { .. } => None,
    }
}

fn stream(model: &Model, method: &Method) -> Option<TokenStream> {
    let Kind::Stream { form, item, .. } = &method.kind else {
        return None;
    };
    let root = &model.root;
    let invoked = invoked(model, method);
    let feed = match form {
        StreamForm::Feed | StreamForm::FallibleFeed(Failure::Never) => invoked,
        StreamForm::FallibleFeed(Failure::Call) => quote!(#invoked?),
        StreamForm::FallibleFeed(Failure::Own(_)) => quote! {
            #invoked.map_err(|error| #root::support::own_error(&error))?
        },
        StreamForm::ImplStream => {
            return Some(quote!(#root::support::drain(#invoked, __sink).await));
        }
    };
    Some(quote! {
        let __feed: #root::server::Feed<#item> = #feed;
        __feed.run(__sink).await
    })
}
