//! What a Rust source file uses and says, read with syn: code in macros included, comments and attributes left out.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// What was found in one file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Paths that the code names, resolved as far as `crate`, `self` and `super` go: `crate::domain::token`, `tokio::time`.
    pub(crate) paths: BTreeSet<String>,
    /// String literals.
    pub(crate) strings: Vec<String>,
    /// Whether there is an `async fn`, an async block or closure, or `.await`.
    pub(crate) is_async: bool,
}

/// Which code counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    /// Without `#[cfg(test)]`.
    Product,
}

/// Reads a file. `path` is its path below `src/`, from which `super` is resolved.
pub(crate) fn facts(path: &str, text: &str, scope: Scope) -> Facts {
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut reader = Reader { module: module_of(path), scope, facts: Facts::default() };
    reader.visit_file(&file);
    reader.facts
}

/// `domain/token.rs` is `domain::token`, `domain/mod.rs` is `domain`, `lib.rs` is the root.
fn module_of(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

struct Reader {
    module: Vec<String>,
    scope: Scope,
    facts: Facts,
}

impl Reader {
    fn path(&mut self, segments: &[String]) {
        let mut from_root = false;
        let mut resolved = Vec::new();
        for (n, segment) in segments.iter().enumerate() {
            match segment.as_str() {
                "crate" | "iamdb" if n == 0 => from_root = true,
                "self" if n == 0 => {
                    from_root = true;
                    resolved.clone_from(&self.module);
                }
                "super" => {
                    if !from_root {
                        from_root = true;
                        resolved.clone_from(&self.module);
                    }
                    resolved.pop();
                }
                other => resolved.push(other.to_owned()),
            }
        }
        if from_root {
            resolved.insert(0, "crate".to_owned());
        }
        self.facts.paths.insert(resolved.join("::"));
    }

    fn use_tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let with = |ident: &syn::Ident| [prefix, &[ident.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.use_tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.path(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.path(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.path(prefix),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(prefix, tree);
                }
            }
        }
    }

    /// Macros are not parsed as Rust, so their tokens are read: strings, `async`, and idents joined by `::`.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                // An attribute: in a macro's tokens a doc comment is one.
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    tokens.next_if(|it| matches!(it, TokenTree::Group(_)));
                }
                TokenTree::Ident(ident) if ident == "async" || ident == "await" => self.facts.is_async = true,
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end_of(&mut path);
                    }
                    path.push(ident.to_string());
                    colons = 0;
                    continue;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Literal(literal) => {
                    if let Ok(string) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                        self.facts.strings.push(string.value());
                    }
                }
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Punct(_) => {}
            }
            colons = 0;
            self.end_of(&mut path);
        }
        self.end_of(&mut path);
    }

    fn end_of(&mut self, path: &mut Vec<String>) {
        if path.len() > 1 {
            self.path(path);
        }
        path.clear();
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    let is_cfg_test = |it: &syn::Attribute| {
        it.path().is_ident("cfg") && it.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
    };
    attributes.iter().any(is_cfg_test)
}

#[allow(clippy::wildcard_enum_match_arm, reason = "syn's enum grows; what carries #[cfg(test)] here is one of these")]
fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Fn(it) => &it.attrs,
        syn::Item::Impl(it) => &it.attrs,
        syn::Item::Mod(it) => &it.attrs,
        syn::Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if self.scope == Scope::All || !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|it| it.ident.to_string()).collect();
        if segments.len() > 1 {
            self.path(&segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, it: &'ast syn::Macro) {
        self.visit_path(&it.path);
        self.tokens(it.tokens.clone());
    }

    fn visit_lit_str(&mut self, string: &'ast syn::LitStr) {
        self.facts.strings.push(string.value());
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.facts.is_async |= signature.asyncness.is_some();
        visit::visit_signature(self, signature);
    }

    fn visit_expr_async(&mut self, block: &'ast syn::ExprAsync) {
        self.facts.is_async = true;
        visit::visit_expr_async(self, block);
    }

    fn visit_expr_await(&mut self, it: &'ast syn::ExprAwait) {
        self.facts.is_async = true;
        visit::visit_expr_await(self, it);
    }

    /// Doc comments are attributes with strings; they bind nothing.
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
}

#[test]
fn paths_are_found_in_uses_types_expressions_and_macros() {
    let code = r#"
        //! [`crate::comments`] do not count.
        use crate::{api::Reason, domain::{self, token::Token as It}};
        use super::engine;
        fn f(it: &std::sync::Arc<dyn crate::ports::Clock>) { crate::k8s::call(); assert!(crate::telemetry::up(), "SELECT 1"); }
        mod inner { fn g() { super::h(); super::super::names::parse(); } }
    "#;
    let paths = facts("domain/account.rs", code, Scope::All).paths;
    for path in [
        "crate::api::Reason",
        "crate::domain",
        "crate::domain::token::Token",
        "crate::domain::engine",
        "crate::ports::Clock",
        "crate::k8s::call",
        "crate::telemetry::up",
        "crate::domain::account::h",
        "crate::domain::names::parse",
        "std::sync::Arc",
    ] {
        assert!(paths.iter().any(|it| it.trim_end_matches("::self") == path), "{path} is not among {paths:#?}");
    }
    assert!(!paths.iter().any(|path| path.contains("comments")));
}

#[test]
fn tests_and_comments_are_no_product_code() {
    let code = r#"
        /// DROP USER
        const A: &str = "one";
        fn f() { format!("two {}", g("three")); }
        table! { /// GRANT
            A, }
        #[cfg(test)]
        mod tests { const B: &str = "four"; }
    "#;
    assert_eq!(facts("x.rs", code, Scope::Product).strings, ["one", "two {}", "three"]);
    assert!(facts("x.rs", code, Scope::All).strings.contains(&"four".to_owned()));
}

#[test]
fn async_code_is_noticed() {
    for code in ["async fn f() {}", "fn f() { async {}; }", "fn f() { select!(a.await) }"] {
        assert!(facts("x.rs", code, Scope::All).is_async, "{code}");
    }
    assert!(!facts("x.rs", "fn f() {}", Scope::All).is_async);
}
