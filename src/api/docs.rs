//! The documentation page: a few files that are part of the binary and load nothing else.

use actix_web::{
    HttpResponse,
    http::header::{CONTENT_SECURITY_POLICY, LOCATION},
    web::{self, ServiceConfig},
};

/// Nothing but the page's own files, and no script inside the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page's files, and the way there from `/`.
pub(super) fn assets(config: &mut ServiceConfig) -> &mut ServiceConfig {
    let file = |kind: &'static str, text: &'static str| {
        web::get().to(move || async move {
            HttpResponse::Ok()
                .content_type(kind)
                .insert_header((CONTENT_SECURITY_POLICY, POLICY))
                .body(text)
        })
    };
    const HTML: &str = "text/html; charset=utf-8";
    const JS: &str = "text/javascript; charset=utf-8";
    const CSS: &str = "text/css; charset=utf-8";
    config
        .route("/docs", file(HTML, include_str!("../../web/docs.html")))
        .route("/docs.js", file(JS, include_str!("../../web/docs.js")))
        .route("/docs.css", file(CSS, include_str!("../../web/docs.css")))
        .route(
            "/",
            web::get().to(|| async {
                HttpResponse::Found()
                    .insert_header((LOCATION, "/docs"))
                    .finish()
            }),
        )
}
