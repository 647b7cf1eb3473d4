//! Finds the name under which the package that is compiled knows forebear.

use proc_macro_crate::{Error, FoundCrate, crate_name};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

const PACKAGE: &str = "forebear";

/// Returns the path of the facade.
pub(crate) fn path() -> syn::Result<TokenStream> {
    let name = match crate_name(PACKAGE) {
        Ok(FoundCrate::Name(name)) => name,
        // Examples and doctests of the facade see it from outside, too.
        Ok(FoundCrate::Itself) => PACKAGE.to_owned(),
        Err(Error::CrateNotFound { .. }) => {
            let what = "this package does not depend on `forebear`: add it to Cargo.toml, or, if \
                        another crate re-exports it, say where, as in `crate = \"framework::rt\"`";
            return Err(syn::Error::new(Span::call_site(), what));
        }
        // Without cargo there is no manifest to ask.
        Err(_) => PACKAGE.to_owned(),
    };
    let name = Ident::new(&name, Span::call_site());
    Ok(quote! { ::#name })
}
