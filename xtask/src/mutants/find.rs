//! The places of a source file where a mutant can be put, and what it changes there.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context as _, Result};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr, PathArguments, UnOp};

use super::values;

/// What one mutant puts in the place of a piece of source.
pub struct Change {
    /// The function, with its type where it has one.
    pub function: String,
    pub line: usize,
    pub shown: String,
    pub text: String,
    /// The `const fn` that it is in.
    pub constant: Option<String>,
}

/// Where changes are put: over an expression, or, where the range is empty, before the first statement of a function.
pub type Sites = BTreeMap<(usize, std::cmp::Reverse<usize>), Vec<Change>>;

pub struct Found {
    pub sites: Sites,
    /// `const` of functions, by their names: taken away, because a switch cannot be read at compile time.
    pub consts: Vec<(String, Range<usize>)>,
}

/// All changes of a file.
pub fn changes(source: &str) -> Result<Found> {
    let file = syn::parse_file(source).context("the file does not parse")?;
    let found = Found { sites: Sites::new(), consts: Vec::new() };
    let mut finder = Finder { source, found, owner: Vec::new(), constant: None };
    finder.visit_file(&file);
    Ok(finder.found)
}

struct Finder<'a> {
    source: &'a str,
    found: Found,
    owner: Vec<String>,
    constant: Option<String>,
}

impl Finder<'_> {
    fn text(&self, node: &impl syn::spanned::Spanned) -> &str {
        &self.source[node.span().byte_range()]
    }

    fn add(&mut self, range: Range<usize>, line: usize, changes: Vec<(String, String)>) {
        let function = self.owner.join("::");
        let constant = self.constant.clone();
        let change =
            |(shown, text)| Change { function: function.clone(), line, shown, text, constant: constant.clone() };
        let changes = changes.into_iter().map(change);
        self.found.sites.entry((range.start, std::cmp::Reverse(range.end))).or_default().extend(changes);
    }

    /// The changes of a function's body, and those of the expressions in it.
    fn function(&mut self, signature: &syn::Signature, attributes: &[syn::Attribute], block: &syn::Block) {
        let name = signature.ident.to_string();
        if is_left_out(attributes) {
            return;
        }
        let outer = self.constant.take();
        if let Some(word) = &signature.constness {
            self.found.consts.push((name.clone(), word.span.byte_range()));
            self.constant = Some(name.clone());
        }
        self.owner.push(name);
        let body = self.text(block).trim_start_matches('{').trim_end_matches('}').trim().to_owned();
        let values = if body.is_empty() { Vec::new() } else { values::of(&signature.output) };
        let values = values.into_iter().filter(|value| *value != body);
        let changes = values.map(|value| (format!("body => `{value}`"), format!(" {{ return {value}; }}"))).collect();
        let begin = block.brace_token.span.open().byte_range().end;
        self.add(begin..begin, signature.span().start().line, changes);
        self.visit_block(block);
        self.owner.pop();
        self.constant = outer;
    }

    fn binary(&mut self, node: &syn::ExprBinary) {
        let operator = self.text(&node.op).to_owned();
        let others = others(&node.op);
        if others.is_empty() || has_let(&node.left) || has_let(&node.right) {
            return;
        }
        let (left, right) = (self.text(&*node.left), self.text(&*node.right));
        let change = |other: &&str| {
            let shown = format!("`{} {operator} {}` => `{other}`", short(left), short(right));
            (shown, format!("({left}) {other} ({right})"))
        };
        let changes = others.iter().map(change).collect();
        self.add(node.span().byte_range(), node.op.span().start().line, changes);
    }
}

/// Neither tests nor texts for people.
fn is_left_out(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string();
            condition == "test" || condition.starts_with("not") || condition == "tidewatch_hook"
        }
        syn::Meta::List(list) => list.path.is_ident("unsafe") && list.tokens.to_string() == "naked",
        syn::Meta::NameValue(_) => false,
    })
}

fn others(operator: &BinOp) -> &'static [&'static str] {
    match operator {
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::Lt(_) => &["==", ">", "<="],
        BinOp::Gt(_) => &["==", "<", ">="],
        BinOp::Le(_) => &[">", "<"],
        BinOp::Ge(_) => &["<", ">"],
        BinOp::And(_) => &["||"],
        BinOp::Or(_) => &["&&"],
        BinOp::Add(_) => &["-", "*"],
        BinOp::Sub(_) => &["+", "/"],
        BinOp::Mul(_) => &["+", "/"],
        BinOp::Div(_) => &["%", "*"],
        BinOp::Rem(_) => &["/", "+"],
        BinOp::BitAnd(_) => &["|", "^"],
        BinOp::BitOr(_) => &["&", "^"],
        BinOp::BitXor(_) => &["|", "&"],
        BinOp::Shl(_) => &[">>"],
        BinOp::Shr(_) => &["<<"],
        BinOp::AddAssign(_) => &["-=", "*="],
        BinOp::SubAssign(_) => &["+=", "/="],
        BinOp::MulAssign(_) => &["+=", "/="],
        BinOp::DivAssign(_) => &["%=", "*="],
        BinOp::RemAssign(_) => &["/=", "+="],
        BinOp::BitAndAssign(_) => &["|=", "^="],
        BinOp::BitOrAssign(_) => &["&=", "^="],
        BinOp::BitXorAssign(_) => &["|=", "&="],
        BinOp::ShlAssign(_) => &[">>="],
        BinOp::ShrAssign(_) => &["<<="],
        _ => &[],
    }
}

/// Whether an operand is a link of a `let` chain, which nothing may enclose.
fn has_let(operand: &Expr) -> bool {
    match operand {
        Expr::Let(_) => true,
        Expr::Binary(binary) if matches!(binary.op, BinOp::And(_)) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

/// An operand on one line, with its middle left out where it is long.
fn short(operand: &str) -> String {
    let line = operand.split_whitespace().collect::<Vec<_>>().join(" ");
    let count = line.chars().count();
    if count <= 40 {
        return line;
    }
    let begin: String = line.chars().take(20).collect();
    let end: String = line.chars().skip(count - 18).collect();
    format!("{begin}..{end}")
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, node: &'ast syn::ItemMod) {
        if !is_left_out(&node.attrs) {
            visit::visit_item_mod(self, node);
        }
    }

    fn visit_item_impl(&mut self, node: &'ast syn::ItemImpl) {
        let of_trait = node.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
        let is_text = of_trait.is_some_and(|last| last.ident == "Debug" || last.ident == "Display");
        if is_text || is_left_out(&node.attrs) {
            return;
        }
        let kind = self.text(&*node.self_ty).split('<').next().unwrap_or_default().to_owned();
        self.owner.push(kind);
        visit::visit_item_impl(self, node);
        self.owner.pop();
    }

    fn visit_item_fn(&mut self, node: &'ast syn::ItemFn) {
        self.function(&node.sig, &node.attrs, &node.block);
    }

    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        self.function(&node.sig, &node.attrs, &node.block);
    }

    fn visit_trait_item_fn(&mut self, node: &'ast syn::TraitItemFn) {
        if let Some(block) = &node.default {
            self.function(&node.sig, &node.attrs, block);
        }
    }

    fn visit_expr_binary(&mut self, node: &'ast syn::ExprBinary) {
        self.binary(node);
        visit::visit_expr_binary(self, node);
    }

    fn visit_expr_unary(&mut self, node: &'ast syn::ExprUnary) {
        if let UnOp::Not(_) | UnOp::Neg(_) = node.op {
            let operand = self.text(&*node.expr);
            let shown = format!("`{}{}` => without `{0}`", self.text(&node.op), short(operand));
            let change = vec![(shown, format!("({operand})"))];
            self.add(node.span().byte_range(), node.span().start().line, change);
        }
        visit::visit_expr_unary(self, node);
    }

    fn visit_arm(&mut self, node: &'ast syn::Arm) {
        if let Some((_, guard)) = &node.guard
            && !has_let(guard)
        {
            let shown = |value: &str| format!("guard `{}` => `{value}`", short(self.text(&**guard)));
            let changes = ["true", "false"].map(|value| (shown(value), value.to_owned())).into();
            self.add(guard.span().byte_range(), guard.span().start().line, changes);
        }
        visit::visit_arm(self, node);
    }

    fn visit_expr_repeat(&mut self, node: &'ast syn::ExprRepeat) {
        self.visit_expr(&node.expr);
    }

    // Constants, types and patterns are evaluated by the compiler; attributes and the insides of macros are not parsed.
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_trait_item_const(&mut self, _: &'ast syn::TraitItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_item_enum(&mut self, _: &'ast syn::ItemEnum) {}
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
    fn visit_pat(&mut self, _: &'ast syn::Pat) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}
    fn visit_generics(&mut self, _: &'ast syn::Generics) {}
    fn visit_path_arguments(&mut self, _: &'ast PathArguments) {}
}
