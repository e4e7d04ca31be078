//! The least that actix-web and reqwest can do: hand on a request, and the reply's bytes as they come.

use std::io;

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    http::{StatusCode, header::CONTENT_TYPE},
    web::{self, Bytes, Data},
};
use tokenfall_bench_peers::{port, raise_open_files};

/// Where requests go: the second argument, such as `http://127.0.0.1:9000`.
struct Upstream {
    client: reqwest::Client,
    url: String,
}

#[actix_web::main]
async fn main() -> io::Result<()> {
    raise_open_files();
    let url = std::env::args()
        .nth(2)
        .expect("the upstream's URL as the second argument");
    // A client for each worker thread, so that none waits for another's connections.
    let app = move || {
        let upstream = Upstream {
            client: reqwest::Client::builder()
                .tcp_nodelay(true)
                .build()
                .expect("a client"),
            url: url.clone(),
        };
        App::new()
            .app_data(Data::new(upstream))
            .default_service(web::to(relay))
    };
    let server = HttpServer::new(app)
        .backlog(4096)
        .max_connections(25_000)
        .tcp_nodelay(true);
    server.bind(("127.0.0.1", port()))?.run().await
}

async fn relay(request: HttpRequest, body: Bytes, upstream: Data<Upstream>) -> HttpResponse {
    let url = format!("{}{}", upstream.url, request.uri());
    let content_type = "application/json";
    let asked = upstream
        .client
        .post(url)
        .header("content-type", content_type)
        .body(body);
    let Ok(reply) = asked.send().await else {
        return HttpResponse::BadGateway().finish();
    };
    let status = StatusCode::from_u16(reply.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = HttpResponse::build(status);
    if let Some(content_type) = reply.headers().get("content-type") {
        response.insert_header((CONTENT_TYPE, content_type.as_bytes()));
    }
    response.streaming(reply.bytes_stream())
}
