//! What is written for an object.

mod client;
mod mock;
mod server;
mod signature;
mod written;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::Ident;

use crate::kind::{Failure, Kind};
use crate::model::{Method, Model};

pub(crate) fn emit(model: &Model) -> TokenStream {
    let the_trait = written::emit(model);
    let object = server::emit(model);
    let client = client::emit(model);
    let mock = mock::emit(model);
    quote! {
        #the_trait
        #object
        #client
        #mock
    }
}

impl Model {
    fn client(&self) -> Ident {
        format_ident!("{}Client", self.ident)
    }

    fn object(&self) -> Ident {
        format_ident!("{}Object", self.ident)
    }

    fn mock(&self) -> Ident {
        format_ident!("{}Mock", self.ident)
    }
}

impl Method {
    fn names(&self) -> Vec<&Ident> {
        self.arguments.iter().map(|(name, _)| name).collect()
    }

    fn types(&self) -> Vec<&syn::Type> {
        self.arguments.iter().map(|(_, given)| given).collect()
    }

    /// The type of all arguments together, which is sent.
    fn tuple_type(&self) -> TokenStream {
        let types = self.types();
        match types.is_empty() {
            // serde writes `()` as `null`, and this as an empty list.
            true => quote!([(); 0]),
            false => quote!((#(#types,)*)),
        }
    }

    /// All arguments together; the pattern of the same.
    fn tuple(&self) -> TokenStream {
        let names = self.names();
        match names.is_empty() {
            true => quote!([]),
            false => quote!((#(#names,)*)),
        }
    }

    /// What its function returns.
    fn output_type(&self) -> TokenStream {
        match &self.output {
            syn::ReturnType::Default => quote!(()),
            syn::ReturnType::Type(_, given) => quote!(#given),
        }
    }

    fn own_error(&self) -> Option<&syn::Type> {
        match &self.kind {
            Kind::Call {
                error: Failure::Own(error),
                ..
            }
            | Kind::Stream {
                form: crate::kind::StreamForm::FallibleFeed(Failure::Own(error)),
                ..
            } => Some(error),
            Kind::Call { .. } | Kind::Notify | Kind::Stream { .. } => None,
        }
    }
}
