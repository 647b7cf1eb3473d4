//! Writes the function that runs the body of the one it replaces.
//!
//! ```text
//! fn main() -> T {
//!     let body = async {
//!         if false {
//!             return facade::entry::never::<T>();
//!         }
//!         { … }
//!     };
//!     facade::entry::main(facade::runtime::Builder::new_multi_thread().enable_all(), body)
//! }
//! ```
//! The first `return` is for the compiler, which learns from it what the body is to return, and
//! then blames a wrong value where it stands.
//! When something is wrong, as much as possible is written all the same, so that an editor goes on
//! to understand the body, and no error follows from another.

use std::fmt;

use proc_macro2::TokenStream;
use quote::quote;
use syn::Error;

use crate::facade;
use crate::function::Function;
use crate::options::Options;

/// Which of the two attributes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Main,
    Test,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Entry::Main => "main",
            Entry::Test => "test",
        })
    }
}

pub(crate) fn expand(entry: Entry, options: TokenStream, item: TokenStream) -> TokenStream {
    let function = match syn::parse2::<Function>(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let what = format!("`#[{entry}]` is for an `async fn`: {error}");
            return and_error(item, &Error::new(error.span(), what));
        }
    };
    if let Err(error) = function.check(entry) {
        return and_error(item, &error);
    }
    let (options, told) = Options::read(entry, options);
    let facade = match &options.facade {
        Some(path) => Ok(quote! { #path }),
        None => facade::path(),
    };
    let written = match &facade {
        Ok(facade) => write(entry, &function, &options, facade),
        // Nothing can be called, but who calls the function is to find it.
        Err(_) => assemble(entry, &function, &quote! { { loop {} } }),
    };
    let errors = told.err().into_iter().chain(facade.err());
    errors.fold(written, |written, error| and_error(written, &error))
}

fn and_error(mut written: TokenStream, error: &Error) -> TokenStream {
    written.extend(error.to_compile_error());
    written
}

fn write(
    entry: Entry,
    function: &Function,
    options: &Options,
    facade: &TokenStream,
) -> TokenStream {
    let body = &function.body;
    let (runner, builder) = (options.runner(entry), options.builder(facade));
    let typed = function.output().map(|output| {
        quote! {
            if false {
                return #facade::entry::never::<#output>();
            }
        }
    });
    let block = quote! {
        {
            let body = async {
                #typed
                #body
            };
            #facade::entry::#runner(#builder, body)
        }
    };
    assemble(entry, function, &block)
}

/// Writes the function with another body, which is not asynchronous.
fn assemble(entry: Entry, function: &Function, block: &TokenStream) -> TokenStream {
    let Function { attributes, visibility, .. } = function;
    let mut signature = function.signature.clone();
    signature.asyncness = None;
    let header = match entry {
        Entry::Main => TokenStream::new(),
        Entry::Test => quote! { #[::core::prelude::v1::test] },
    };
    quote! { #(#attributes)* #header #visibility #signature #block }
}
