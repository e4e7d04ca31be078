//! What is answered where nothing is served: a JSON 404, or 405 where another method is.

use std::sync::OnceLock;

use actix_web::{HttpRequest, HttpResponse, dev::ResourceDef, http::Method};
use serde_json::Value;

use super::{
    ApiError,
    openapi::{Edition, document},
    pages,
};

/// One documented path and its methods.
struct Served {
    path: String,
    pattern: ResourceDef,
    methods: Vec<String>,
}

/// Answers every request that no route takes.
pub async fn fallback(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let is_here = |served: &&Served| served.pattern.is_match(request.path());
    match served().iter().find(is_here) {
        Some(here) => Err(not_allowed(request.method(), here)),
        None => Err(not_found(&request)),
    }
}

/// What a path is answered with that is not served by this server, though by others.
pub(super) fn not_found(request: &HttpRequest) -> ApiError {
    ApiError::NotFound {
        path: request.path().to_owned(),
        served: list(served()),
    }
}

fn not_allowed(method: &Method, here: &Served) -> ApiError {
    ApiError::MethodNotAllowed {
        method: method.clone(),
        allowed: here.methods.join(", "),
    }
}

impl Served {
    fn new(path: &str, methods: Vec<String>) -> Self {
        // The document cannot say which names may hold slashes.
        let pattern = path
            .replace("{model}", "{model:.+}")
            .replace("{file}", "{file:.+}");
        Self {
            path: path.to_owned(),
            pattern: ResourceDef::new(pattern),
            methods,
        }
    }
}

fn list(served: &[Served]) -> String {
    let line = |s: &Served| format!("{} {}", s.methods.join("/"), s.path);
    served.iter().map(line).collect::<Vec<_>>().join(", ")
}

/// What the OpenAPI document says is served, and the pages. The document is made for it once: that takes
/// longer than any other answer.
fn served() -> &'static [Served] {
    static SERVED: OnceLock<Vec<Served>> = OnceLock::new();
    SERVED.get_or_init(|| {
        let page = |path: &&str| Served::new(path, vec!["GET".to_owned()]);
        let described = described(&document(Edition::V3_2));
        described
            .into_iter()
            .chain(pages::PATHS.iter().map(page))
            .collect()
    })
}

fn described(document: &Value) -> Vec<Served> {
    let methods = |item: &Value| match item.as_object() {
        Some(item) => item.keys().map(|method| method.to_uppercase()).collect(),
        None => Vec::new(),
    };
    let paths = document["paths"].as_object().into_iter().flatten();
    paths
        .map(|(path, item)| Served::new(path, methods(item)))
        .collect()
}
