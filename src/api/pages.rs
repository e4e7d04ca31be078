//! The pages: the playground at `/`, the API reference at `/docs`, and their files under `/web/`.
//!
//! All of them are part of the binary, and they load nothing else.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    },
    web::{self, Path, ServiceConfig},
};

use super::{ApiError, fallback, fallback::not_found};

/// Nothing but the pages' own files, no script or style inside a page, and no text that becomes markup
/// but what the sanitizer has made.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types dompurify";

const HTML: &str = "text/html; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Where the pages and their files are.
pub(super) const PATHS: [&str; 3] = ["/", "/docs", "/web/{file}"];

/// A file of `web/`: its name there, its type, its text.
type File = (&'static str, &'static str, &'static str);

macro_rules! file {
    ($name:literal, $kind:expr) => {
        ($name, $kind, include_str!(concat!("../../web/", $name)))
    };
}

const PLAYGROUND: File = file!("playground.html", HTML);
const DOCS: File = file!("docs.html", HTML);
/// What the pages load.
const FILES: [File; 29] = [
    file!("answer.js", JS),
    file!("chat.css", CSS),
    file!("chat.js", JS),
    file!("completion.js", JS),
    file!("docs.css", CSS),
    file!("docs.js", JS),
    file!("elements.js", JS),
    file!("events.js", JS),
    file!("icon.svg", SVG),
    file!("markdown.js", JS),
    file!("message.js", JS),
    file!("mock.js", JS),
    file!("playground.css", CSS),
    file!("playground.js", JS),
    file!("plot.js", JS),
    file!("reader.js", JS),
    file!("samples.js", JS),
    file!("schema.js", JS),
    file!("setup.js", JS),
    file!("sse.js", JS),
    file!("store.js", JS),
    file!("tabs.js", JS),
    file!("theme.css", CSS),
    file!("theme.js", JS),
    file!("try.js", JS),
    file!("vendor/marked.js", JS),
    file!("vendor/purify.js", JS),
    file!("wire.css", CSS),
    file!("wire.js", JS),
];

/// The pages and their files.
pub(super) fn assets(config: &mut ServiceConfig) -> &mut ServiceConfig {
    let [playground, docs, _] = PATHS;
    let routes = [
        (playground, web::get().to(|| async { answer(PLAYGROUND) })),
        (docs, web::get().to(|| async { answer(DOCS) })),
        ("/web/{file:.+}", web::get().to(file)),
    ];
    routes.into_iter().fold(config, |config, (path, route)| {
        let resource = web::resource(path).route(route);
        config.service(resource.default_service(web::to(fallback)))
    })
}

async fn file(name: Path<String>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let found = FILES.iter().find(|(known, _, _)| *known == *name);
    found.map_or_else(|| Err(not_found(&request)), |file| Ok(answer(*file)))
}

fn answer((_, kind, text): File) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(kind)
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        // Another version of the binary has other files under the same names.
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(text)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn every_script_style_and_picture_of_the_folder_is_served() {
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let served: Vec<_> = FILES.iter().map(|(name, _, _)| *name).collect();
        for folder in ["", "vendor/"] {
            for entry in fs::read_dir(web.join(folder)).expect("a folder") {
                let name = entry.expect("an entry").file_name();
                let name = format!("{folder}{}", name.to_string_lossy());
                let is_loaded = [".js", ".css", ".svg"]
                    .iter()
                    .any(|end| name.ends_with(end));
                assert_eq!(is_loaded, served.contains(&name.as_str()), "{name}");
            }
        }
    }
}
