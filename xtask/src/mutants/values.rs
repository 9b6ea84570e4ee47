//! Values that stand in for a function's result, by its return type.

use syn::{GenericArgument, PathArguments, ReturnType, Type};

/// As many as one type gets; more of them find no more.
const MOST: usize = 4;

/// The texts of the values to return; `()` as an empty text. Empty where nothing can be returned early.
pub fn of(output: &ReturnType) -> Vec<String> {
    match output {
        ReturnType::Default => vec![String::new()],
        ReturnType::Type(_, kind) => {
            let mut values = of_type(kind);
            values.truncate(MOST);
            values
        }
    }
}

fn of_type(kind: &Type) -> Vec<String> {
    match kind {
        Type::Never(_) | Type::ImplTrait(_) | Type::Ptr(_) | Type::BareFn(_) => Vec::new(),
        Type::Tuple(tuple) if tuple.elems.is_empty() => vec!["()".to_owned()],
        Type::Tuple(tuple) => of_tuple(&tuple.elems.iter().map(of_type).collect::<Vec<_>>()),
        Type::Reference(reference) => of_reference(reference),
        Type::Array(array) => of_type(&array.elem).iter().map(|value| format!("[{value}; _]")).collect(),
        Type::Paren(inner) => of_type(&inner.elem),
        Type::Path(path) => path.path.segments.last().map_or_else(Vec::new, of_segment),
        _ => default(),
    }
}

fn default() -> Vec<String> {
    vec!["Default::default()".to_owned()]
}

/// Each element in turn takes all its values while the others take their first.
fn of_tuple(elements: &[Vec<String>]) -> Vec<String> {
    let longest = elements.iter().map(Vec::len).max().unwrap_or(0);
    if elements.iter().any(Vec::is_empty) {
        return Vec::new();
    }
    let row = |index: usize| {
        let values: Vec<&str> = elements.iter().map(|of| of[index.min(of.len() - 1)].as_str()).collect();
        format!("({},)", values.join(", "))
    };
    (0..longest).map(row).collect()
}

fn of_reference(reference: &syn::TypeReference) -> Vec<String> {
    match (&*reference.elem, &reference.mutability) {
        (Type::Path(path), None) if path.path.is_ident("str") => vec!["\"\"".to_owned(), "\"xyzzy\"".to_owned()],
        (Type::Slice(_), None) => vec!["&[]".to_owned()],
        (Type::Slice(_), Some(_)) => vec!["&mut []".to_owned()],
        _ => Vec::new(),
    }
}

fn of_segment(segment: &syn::PathSegment) -> Vec<String> {
    let inner = |index: usize| match &segment.arguments {
        PathArguments::AngleBracketed(list) => {
            let types = list.args.iter().filter_map(|argument| match argument {
                GenericArgument::Type(kind) => Some(kind),
                _ => None,
            });
            types.skip(index).map(of_type).next().unwrap_or_else(default)
        }
        _ => default(),
    };
    let wrapped = |before: &str, values: Vec<String>, after: &str| {
        values.into_iter().map(|value| format!("{before}{value}{after}")).collect::<Vec<_>>()
    };
    let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    match segment.ident.to_string().as_str() {
        "bool" => texts(&["true", "false"]),
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => texts(&["0", "1"]),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" | "c_int" | "c_long" => texts(&["0", "1", "-1"]),
        "f32" | "f64" => texts(&["0.0", "1.0", "-1.0"]),
        "String" => texts(&["String::new()", "\"xyzzy\".to_owned()"]),
        "Option" => [texts(&["None"]), wrapped("Some(", inner(0), ")")].concat(),
        "Result" => wrapped("Ok(", inner(0), ")"),
        "Vec" => [texts(&["Vec::new()"]), wrapped("vec![", inner(0), "]")].concat(),
        "Box" | "Arc" | "Rc" | "Mutex" => wrapped(&format!("{}::new(", segment.ident), inner(0), ")"),
        "Cow" => texts(&["\"\".into()", "\"xyzzy\".into()"]),
        _ => default(),
    }
}
