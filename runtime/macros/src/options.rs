//! Reads the options of an attribute, and says of each wrong one what to write instead.
//!
//! All that is wrong is said at once, each at its own place.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Lit, Path, Token};

use crate::entry::Entry;

/// As many workers as a runtime may have.
const WORKERS_MAX: usize = 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flavor {
    CurrentThread,
    Local,
    MultiThread,
}

/// What was said, or goes without saying.
pub(crate) struct Options {
    flavor: Flavor,
    worker_threads: Option<usize>,
    start_paused: Option<bool>,
    unhandled_panic: Option<Ident>,
    name: Option<String>,
    /// The path of the facade, if it was said.
    pub(crate) facade: Option<Path>,
}

/// One option: its name, and its value if it has one.
struct Said {
    name: Ident,
    value: Option<Expr>,
}

impl Options {
    /// Reads the options. What is wrong is left out, and told by the error.
    pub(crate) fn read(entry: Entry, options: TokenStream) -> (Options, syn::Result<()>) {
        let flavor = match entry {
            Entry::Main => Flavor::MultiThread,
            Entry::Test => Flavor::CurrentThread,
        };
        let mut read = Options {
            flavor,
            worker_threads: None,
            start_paused: None,
            unhandled_panic: None,
            name: None,
            facade: None,
        };
        let told = list.parse2(options).and_then(|list| read.take(entry, list));
        (read, told)
    }

    fn take(&mut self, entry: Entry, list: Vec<Said>) -> syn::Result<()> {
        let mut wrong = Ok(());
        let mut seen: Vec<(String, Span)> = Vec::new();
        for Said { name, value } in list {
            let text = name.to_string();
            if seen.iter().any(|(other, _)| *other == text) {
                add(&mut wrong, syn::Error::new(name.span(), format!("`{text}` is said twice")));
                continue;
            }
            let at = value.as_ref().map_or_else(|| name.span(), Spanned::span);
            seen.push((text, at));
            if let Err(error) = self.set(entry, &name, value) {
                add(&mut wrong, error);
            }
        }
        let said = |name| seen.iter().find(|(other, _)| other == name).map(|(_, at)| *at);
        let is_multi_thread = self.flavor == Flavor::MultiThread;
        for (name, wanted, fits) in [
            ("worker_threads", Flavor::MultiThread, is_multi_thread),
            ("start_paused", Flavor::CurrentThread, !is_multi_thread),
        ] {
            let Some(at) = said(name).filter(|_| !fits) else { continue };
            let wanted = wanted.name();
            let cure = match said("flavor") {
                Some(_) => format!("leave it out, or write `flavor = \"{wanted}\"`"),
                None => format!("add `flavor = \"{wanted}\"`, or leave it out"),
            };
            let what = format!("`{name}` is for the flavor `{wanted}`: {cure}");
            add(&mut wrong, syn::Error::new(at, what));
        }
        wrong
    }

    fn set(&mut self, entry: Entry, name: &Ident, value: Option<Expr>) -> syn::Result<()> {
        let text = name.to_string();
        let Some(example) = example(&text) else {
            return Err(syn::Error::new(name.span(), no_such_option(entry, &text)));
        };
        let needs = |what: &str| format!("`{text}` is {what}: write `{text} = {example}`");
        let Some(value) = value else {
            return Err(syn::Error::new(name.span(), needs("an option with a value")));
        };
        let fail = |what: &str| Err(syn::Error::new_spanned(&value, needs(what)));
        match (text.as_str(), literal(&value)) {
            ("flavor", Some(Lit::Str(flavor))) => match Flavor::of(&flavor.value()) {
                Ok(flavor) => self.flavor = flavor,
                Err(what) => return Err(syn::Error::new_spanned(&value, what)),
            },
            ("worker_threads", Some(Lit::Int(workers))) => match workers.base10_parse::<usize>() {
                Ok(workers @ 1..=WORKERS_MAX) => self.worker_threads = Some(workers),
                _ => return fail(&format!("a number from 1 to {WORKERS_MAX}")),
            },
            ("start_paused", Some(Lit::Bool(is_paused))) => {
                self.start_paused = Some(is_paused.value);
            }
            ("unhandled_panic", Some(Lit::Str(policy))) => {
                let variant = match policy.value().as_str() {
                    "report" => "Report",
                    "ignore" => "Ignore",
                    "shutdown_runtime" => "ShutdownRuntime",
                    _ => return fail("one of `report`, `ignore` and `shutdown_runtime`"),
                };
                self.unhandled_panic = Some(Ident::new(variant, policy.span()));
            }
            ("name", Some(Lit::Str(name))) => self.name = Some(name.value()),
            ("crate", Some(Lit::Str(path))) => match path.parse_with(Path::parse_mod_style) {
                Ok(path) => self.facade = Some(path),
                Err(_) => return fail("the path of a crate or module"),
            },
            ("worker_threads", _) => return fail("a number"),
            ("start_paused", _) => return fail("`true` or `false`"),
            _ => return fail("a text in quotes"),
        }
        Ok(())
    }

    /// Returns the function of the facade that runs the body.
    pub(crate) fn runner(&self, entry: Entry) -> Ident {
        let name = match (entry, self.flavor) {
            (Entry::Main, Flavor::Local) => "main_local",
            (Entry::Main, _) => "main",
            (Entry::Test, Flavor::Local) => "test_local",
            (Entry::Test, _) => "test",
        };
        Ident::new(name, Span::call_site())
    }

    /// Writes a builder for such a runtime.
    pub(crate) fn builder(&self, facade: &TokenStream) -> TokenStream {
        let new = match self.flavor {
            Flavor::CurrentThread | Flavor::Local => quote! { new_current_thread },
            Flavor::MultiThread => quote! { new_multi_thread },
        };
        let mut builder = quote! { #facade::runtime::Builder::#new() };
        if let Some(workers) = self.worker_threads {
            builder = quote! { #builder.worker_threads(#workers) };
        }
        if let Some(is_paused) = self.start_paused {
            builder = quote! { #builder.start_paused(#is_paused) };
        }
        if let Some(policy) = &self.unhandled_panic {
            let policy = quote! { #facade::runtime::UnhandledPanic::#policy };
            builder = quote! { #builder.unhandled_panic(#policy) };
        }
        if let Some(name) = &self.name {
            builder = quote! { #builder.name(#name) };
        }
        quote! { #builder.enable_all() }
    }
}

impl Flavor {
    fn name(self) -> &'static str {
        match self {
            Flavor::CurrentThread => "current_thread",
            Flavor::Local => "local",
            Flavor::MultiThread => "multi_thread",
        }
    }

    /// Finds a flavour by its name, or says what it is called.
    fn of(name: &str) -> Result<Flavor, String> {
        let cure = match name {
            "current_thread" => return Ok(Flavor::CurrentThread),
            "local" => return Ok(Flavor::Local),
            "multi_thread" => return Ok(Flavor::MultiThread),
            "single_thread" | "basic_scheduler" => "it is called `current_thread`",
            "threaded_scheduler" | "threadpool" => "it is called `multi_thread`",
            _ => "the flavors are `multi_thread`, `current_thread` and `local`",
        };
        Err(format!("there is no flavor `{name}`: {cure}"))
    }
}

/// Reads `name = value` and `name`, with commas between.
fn list(input: ParseStream<'_>) -> syn::Result<Vec<Said>> {
    let mut list = Vec::new();
    while !input.is_empty() {
        if !input.peek(Ident::peek_any) {
            return Err(input.error("an option begins with its name, as in `flavor = \"…\"`"));
        }
        // `crate` is a keyword.
        let name = input.call(Ident::parse_any)?;
        let value = match input.parse::<Option<Token![=]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        list.push(Said { name, value });
        if !input.is_empty() && input.parse::<Option<Token![,]>>()?.is_none() {
            return Err(input.error("a comma stands between two options"));
        }
    }
    Ok(list)
}

/// Returns a value that the option could have; `None` if there is no such option.
fn example(option: &str) -> Option<&'static str> {
    let (_, example) = OPTIONS.iter().find(|(name, _)| *name == option)?;
    Some(example)
}

const OPTIONS: [(&str, &str); 6] = [
    ("flavor", "\"current_thread\""),
    ("worker_threads", "4"),
    ("start_paused", "true"),
    ("unhandled_panic", "\"shutdown_runtime\""),
    ("name", "\"orders\""),
    ("crate", "\"framework::rt\""),
];

fn no_such_option(entry: Entry, name: &str) -> String {
    let cure = match name {
        "core_threads" | "max_threads" => "write `worker_threads = 4`".to_owned(),
        "current_thread" | "single_thread" | "basic_scheduler" => {
            "write `flavor = \"current_thread\"`".to_owned()
        }
        "multi_thread" | "threaded_scheduler" => "write `flavor = \"multi_thread\"`".to_owned(),
        _ => {
            let names = OPTIONS.map(|(name, _)| format!("`{name}`"));
            format!("the options are {}", names.join(", "))
        }
    };
    format!("`#[{entry}]` has no option `{name}`: {cure}")
}

fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        // A macro of the user's may have passed the value on.
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}

fn add(wrong: &mut syn::Result<()>, error: syn::Error) {
    match wrong {
        Ok(()) => *wrong = Err(error),
        Err(errors) => errors.combine(error),
    }
}
