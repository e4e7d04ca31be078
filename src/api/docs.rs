//! The documentation page: a few files that are part of the binary and load nothing else.

use actix_web::{
    HttpResponse,
    http::header::{CONTENT_SECURITY_POLICY, LOCATION},
    web::{self, ServiceConfig},
};

use super::fallback;

/// Nothing but the page's own files, and no script inside the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where the page and its files are.
pub(super) const PATHS: [&str; 4] = ["/", "/docs", "/docs.js", "/docs.css"];

/// The page's files, and the way there from `/`.
pub(super) fn assets(config: &mut ServiceConfig) -> &mut ServiceConfig {
    let [home, page, script, style] = PATHS;
    let file = |kind: &'static str, text: &'static str| {
        web::get().to(move || async move {
            HttpResponse::Ok()
                .content_type(kind)
                .insert_header((CONTENT_SECURITY_POLICY, POLICY))
                .body(text)
        })
    };
    let to_docs = web::get().to(|| async {
        let location = (LOCATION, "/docs");
        HttpResponse::Found().insert_header(location).finish()
    });
    const HTML: &str = "text/html; charset=utf-8";
    const JS: &str = "text/javascript; charset=utf-8";
    const CSS: &str = "text/css; charset=utf-8";
    let routes = [
        (home, to_docs),
        (page, file(HTML, include_str!("../../web/docs.html"))),
        (script, file(JS, include_str!("../../web/docs.js"))),
        (style, file(CSS, include_str!("../../web/docs.css"))),
    ];
    routes.into_iter().fold(config, |config, (path, route)| {
        let resource = web::resource(path).route(route);
        config.service(resource.default_service(web::to(fallback)))
    })
}
