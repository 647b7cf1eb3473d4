//! Reads the function that an attribute stands on.
//!
//! Its body stays as it is, so that whatever Rust allows there need not be understood here.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, ReturnType, Signature, Type, Visibility};

use crate::entry::Entry;

pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    pub(crate) body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Function> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let signature = input.parse()?;
        let body = input.parse()?;
        Ok(Function { attributes, visibility, signature, body })
    }
}

impl Function {
    /// Says what keeps the function from being wrapped.
    pub(crate) fn check(&self, entry: Entry) -> syn::Result<()> {
        if self.signature.asyncness.is_none() {
            let what = format!("`#[{entry}]` is for an `async fn`: write `async` before this `fn`");
            return Err(syn::Error::new_spanned(self.signature.fn_token, what));
        }
        let second = self.attributes.iter().find(|attribute| is_test(attribute));
        match (entry, second) {
            (Entry::Test, Some(second)) => {
                let what = "this is a test already, and would run twice: leave one of the two \
                            attributes out";
                Err(syn::Error::new_spanned(second, what))
            }
            _ => Ok(()),
        }
    }

    /// Returns the type of the output, if it can be written inside the function.
    pub(crate) fn output(&self) -> Option<TokenStream> {
        match &self.signature.output {
            ReturnType::Default => Some(quote! { () }),
            ReturnType::Type(_, output) if matches!(**output, Type::Never(_)) => None,
            ReturnType::Type(_, output) => {
                let tokens = output.to_token_stream();
                (!says_impl(tokens.clone())).then_some(tokens)
            }
        }
    }
}

/// Says whether the attribute is the `#[test]` of the language.
fn is_test(attribute: &Attribute) -> bool {
    let path: Vec<String> =
        attribute.path().segments.iter().map(|segment| segment.ident.to_string()).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    matches!(path[..], ["test"] | ["core" | "std", "prelude", _, "test"])
}

/// Says whether a type is, or holds, an `impl Trait`, which stands in signatures only.
fn says_impl(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(word) => word == "impl",
        TokenTree::Group(group) => says_impl(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
