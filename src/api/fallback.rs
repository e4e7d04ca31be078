//! What is answered where nothing is served: a JSON 404, or 405 where another method is.

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
    methods: Vec<String>,
}

/// Answers every request that no route takes.
pub async fn fallback(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let served = served(&document(Edition::V3_2));
    match served.iter().find(|served| served.is_at(request.path())) {
        Some(here) => Err(not_allowed(request.method(), here)),
        None => Err(unknown(&request, &served)),
    }
}

/// What a path is answered with that is not served by this server, though by others.
pub(super) fn not_found(request: &HttpRequest) -> ApiError {
    unknown(request, &served(&document(Edition::V3_2)))
}

fn unknown(request: &HttpRequest, served: &[Served]) -> ApiError {
    ApiError::NotFound {
        path: request.path().to_owned(),
        served: list(served),
    }
}

fn not_allowed(method: &Method, here: &Served) -> ApiError {
    ApiError::MethodNotAllowed {
        method: method.clone(),
        allowed: here.methods.join(", "),
    }
}

impl Served {
    fn is_at(&self, path: &str) -> bool {
        // The document cannot say which names may hold slashes.
        let pattern = self
            .path
            .replace("{model}", "{model:.+}")
            .replace("{file}", "{file:.+}");
        ResourceDef::new(pattern).is_match(path)
    }
}

fn list(served: &[Served]) -> String {
    let line = |s: &Served| format!("{} {}", s.methods.join("/"), s.path);
    served.iter().map(line).collect::<Vec<_>>().join(", ")
}

/// What the OpenAPI document says is served, and the pages.
fn served(document: &Value) -> Vec<Served> {
    let page = |path: &&str| Served {
        path: (*path).to_owned(),
        methods: vec!["GET".to_owned()],
    };
    let pages = pages::PATHS.iter().map(page);
    described(document).into_iter().chain(pages).collect()
}

fn described(document: &Value) -> Vec<Served> {
    let paths = document["paths"].as_object();
    let served = |(path, item): (&String, &Value)| Served {
        path: path.clone(),
        methods: item
            .as_object()
            .map(|item| item.keys().map(|method| method.to_uppercase()).collect())
            .unwrap_or_default(),
    };
    paths
        .map(|paths| paths.iter().map(served).collect())
        .unwrap_or_default()
}
