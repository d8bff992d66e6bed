//! What the rules need to know about one Rust file.

use std::ops::RangeInclusive;
use std::str::FromStr;

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::tree::Finding;

/// A parsed Rust file, as facts with line numbers from 1.
pub(crate) struct Source {
    /// Its path in the tree.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
    /// All its tokens in order, those inside macros too. Comments are none.
    pub(crate) tokens: Vec<Token>,
    /// Its functions and methods that have a body.
    pub(crate) functions: Vec<Function>,
    /// What its `use` and `extern crate` items begin with.
    pub(crate) imports: Vec<Import>,
    /// The modules that it declares.
    pub(crate) modules: Vec<String>,
    /// Its enums.
    pub(crate) enums: Vec<Enum>,
    /// Lines that only a test build compiles.
    test_lines: Vec<RangeInclusive<usize>>,
    /// The text with each string blanked out, for rules that look for comments.
    pub(crate) unquoted: String,
}

/// A token: an identifier, a punctuation character, a literal, or one half of a bracket pair.
pub(crate) struct Token {
    /// As written.
    pub(crate) text: String,
    /// Where it begins.
    pub(crate) line: usize,
}

/// A function or method.
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// The line of its `fn`.
    pub(crate) line: usize,
    /// How many lines it has, from `fn` to the closing brace.
    pub(crate) length: usize,
}

/// The first segment of a path that is imported.
pub(crate) struct Import {
    /// The segment.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) line: usize,
}

/// An enum and its variants.
pub(crate) struct Enum {
    /// Its name.
    pub(crate) name: String,
    /// The variants, each with its line.
    pub(crate) variants: Vec<(String, usize)>,
}

impl Source {
    /// Parses the file.
    pub(crate) fn parse(path: &str, text: &str) -> Result<Self, Finding> {
        let stream = TokenStream::from_str(text)
            .map_err(|error| Finding::new(path, first_line(error.span()), error.to_string()))?;
        let file: syn::File = syn::parse2(stream.clone())
            .map_err(|error| Finding::new(path, first_line(error.span()), error.to_string()))?;
        let mut source = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            tokens: Vec::new(),
            functions: Vec::new(),
            imports: Vec::new(),
            modules: Vec::new(),
            enums: Vec::new(),
            test_lines: Vec::new(),
            unquoted: text.to_owned(),
        };
        source.flatten(stream);
        source.visit_file(&file);
        Ok(source)
    }

    /// Whether only a test build compiles the whole file.
    pub(crate) fn is_test(&self) -> bool {
        is_test_path(&self.path)
    }

    /// Whether only a test build compiles `line`.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.is_test() || self.test_lines.iter().any(|lines| lines.contains(&line))
    }

    /// The file's lines, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Where `words` follow one another as tokens.
    pub(crate) fn find<'a>(&'a self, words: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
        self.tokens.windows(words.len()).filter_map(move |window| {
            let matches = window.iter().zip(words).all(|(token, word)| token.text == *word);
            matches.then(|| window.first().expect("there are words").line)
        })
    }

    fn flatten(&mut self, stream: TokenStream) {
        for tree in stream {
            let span = tree.span();
            match tree {
                TokenTree::Group(group) => {
                    let (open, close) = brackets(group.delimiter());
                    self.push(open, group.span_open());
                    self.flatten(group.stream());
                    self.push(close, group.span_close());
                }
                TokenTree::Literal(literal) => {
                    self.unquote(span);
                    self.push(&literal.to_string(), span);
                }
                TokenTree::Ident(ident) => self.push(&ident.to_string(), span),
                TokenTree::Punct(punct) => self.push(&punct.as_char().to_string(), span),
            }
        }
    }

    fn push(&mut self, text: &str, span: Span) {
        if !text.is_empty() {
            self.tokens.push(Token { text: text.to_owned(), line: first_line(span) });
        }
    }

    /// Blanks out a literal. A doc comment is a literal too, to the compiler, but stays.
    fn unquote(&mut self, span: Span) {
        let range = span.byte_range();
        let literal = self.text.get(range.clone()).expect("spans lie in the text");
        if !literal.starts_with('/') {
            let blank: String = literal.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
            self.unquoted.replace_range(range, &blank);
        }
    }

    fn function(&mut self, attributes: &[syn::Attribute], signature: &syn::Signature, body: &syn::Block) {
        let line = first_line(signature.fn_token.span);
        let end = last_line(body.brace_token.span.close());
        if attributes.iter().any(is_test_attribute) {
            self.test_lines.push(line..=end);
        }
        self.functions.push(Function { name: signature.ident.to_string(), line, length: end - line + 1 });
    }

    fn import(&mut self, tree: &syn::UseTree) {
        let ident = match tree {
            syn::UseTree::Path(path) => &path.ident,
            syn::UseTree::Name(name) => &name.ident,
            syn::UseTree::Rename(rename) => &rename.ident,
            syn::UseTree::Group(group) => return group.items.iter().for_each(|item| self.import(item)),
            _ => return,
        };
        self.imports.push(Import { name: ident.to_string(), line: first_line(ident.span()) });
    }
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.attrs, &item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.attrs, &item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.attrs, &item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.modules.push(item.ident.to_string());
        if let Some((braces, _)) = &item.content
            && item.attrs.iter().any(is_test_attribute)
        {
            self.test_lines.push(first_line(item.ident.span())..=last_line(braces.span.close()));
        }
        visit::visit_item_mod(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.import(&item.tree);
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        self.imports.push(Import { name: item.ident.to_string(), line: first_line(item.ident.span()) });
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        let variant = |variant: &syn::Variant| (variant.ident.to_string(), first_line(variant.ident.span()));
        let variants = item.variants.iter().map(variant).collect();
        self.enums.push(Enum { name: item.ident.to_string(), variants });
        visit::visit_item_enum(self, item);
    }
}

/// Whether only a test build compiles the file at `path`.
pub(crate) fn is_test_path(path: &str) -> bool {
    path.starts_with("tests/")
        || path.contains("/tests/")
        || path.contains("/benches/")
        || path.ends_with("/tests.rs")
}

/// `#[test]`, `#[whatever::test]`, `#[cfg(test)]`, `#[cfg(all(test, ..))]`; not `#[cfg(not(test))]`.
fn is_test_attribute(attribute: &syn::Attribute) -> bool {
    let path = attribute.path();
    if path.segments.last().is_some_and(|segment| segment.ident == "test") {
        return true;
    }
    let syn::Meta::List(list) = &attribute.meta else { return false };
    let condition = list.tokens.to_string();
    let mut words = condition.split(|c: char| !c.is_alphanumeric() && c != '_');
    path.is_ident("cfg") && !condition.contains("not") && words.any(|word| word == "test")
}

fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

fn first_line(span: Span) -> usize {
    span.start().line
}

fn last_line(span: Span) -> usize {
    span.end().line
}

#[test]
fn strings_are_blanked_out_and_comments_are_not() {
    let text = "/// \"a\"\nfn a() {\n    b(\"ä // \\\"\", '\"', r#\"\n// c\"#); // \"d\"\n}\n";
    let source = Source::parse("a.rs", text).map_err(|finding| finding.to_string()).unwrap();
    assert_eq!(source.unquoted.len(), text.len());
    let words: Vec<&str> = source.unquoted.split_whitespace().collect();
    assert_eq!(words.join(" "), "/// \"a\" fn a() { b( , , ); // \"d\" }");
}

#[test]
fn test_code_is_told_from_the_rest() {
    let source = Source::parse(
        "host/crates/plan/src/check.rs",
        "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\n#[test]\nfn c() {\n}\n#[cfg(not(test))]\nmod d {}\n",
    );
    let source = source.map_err(|finding| finding.to_string()).unwrap();
    let lines: Vec<usize> = (1..=10).filter(|line| source.is_test_line(*line)).collect();
    assert_eq!(lines, [3, 4, 5, 7, 8]);
    for (path, test) in [
        ("host/crates/plan/src/tests.rs", true),
        ("host/crates/plan/src/check/tests.rs", true),
        ("host/crates/plan/tests/check.rs", true),
        ("tests/tests/cli.rs", true),
        ("host/xtask/src/test.rs", false),
        ("host/src/contests.rs", false),
    ] {
        assert_eq!(is_test_path(path), test, "{path}");
    }
}
