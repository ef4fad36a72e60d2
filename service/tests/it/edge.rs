//! What every answer has.

use service::HttpLimits;

use crate::support::TestService;

async fn get(service: &TestService, path: &str) -> (u16, reqwest::header::HeaderMap, String) {
    let answer = reqwest::get(service.url(path)).await.unwrap();
    (answer.status().as_u16(), answer.headers().clone(), answer.text().await.unwrap())
}

#[tokio::test]
async fn refusals_are_problems_with_the_request_id() {
    let service = TestService::start(HttpLimits::default()).await;
    for (path, status, slug) in
        [("/nowhere", 404, "not_found"), ("/panic", 500, "internal"), ("/problem", 503, "log_full")]
    {
        let (answered, headers, body) = get(&service, path).await;
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answered, status, "{body}");
        assert_eq!(headers["content-type"], "application/problem+json");
        assert_eq!(problem["type"], format!("urn:saldo:problem:{slug}"));
        assert_eq!(problem["request_id"], headers["x-request-id"].to_str().unwrap());
    }
    assert_eq!(get(&service, "/problem").await.1["retry-after"], "7");
    assert_eq!(get(&service, "/hello").await.2, "hello", "a panic is of its own request only");
}

#[tokio::test]
async fn a_method_that_the_path_does_not_take_is_a_problem_with_allow() {
    let service = TestService::start(HttpLimits::default()).await;
    let answer = reqwest::Client::new().delete(service.url("/hello")).send().await.unwrap();
    assert_eq!(answer.status(), 405);
    assert_eq!(answer.headers()["allow"], "GET,HEAD,POST");
    assert!(answer.headers().contains_key("x-request-id"));
    assert!(answer.text().await.unwrap().contains("urn:saldo:problem:method_not_allowed"));
}

#[tokio::test]
async fn a_sane_request_id_is_taken_over() {
    let service = TestService::start(HttpLimits::default()).await;
    let send = async |id: &str| {
        let request = reqwest::Client::new().get(service.url("/hello")).header("x-request-id", id);
        request.send().await.unwrap().headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(send("order-17").await, "order-17");
    assert_ne!(send("not sane").await, "not sane");
}

#[tokio::test]
async fn health_and_metrics_are_on_every_service() {
    let service = TestService::start(HttpLimits::default()).await;
    assert_eq!(get(&service, "/health/live").await.0, 200);
    let (status, headers, body) = get(&service, "/health/ready").await;
    assert_eq!((status, headers["retry-after"].to_str().unwrap()), (503, "1"));
    assert!(body.contains("still warming"));
    get(&service, "/items/secret-name").await;
    get(&service, "/nowhere").await;
    let (_, _, metrics) = get(&service, "/metrics").await;
    assert!(metrics.contains("saldo_http_answers_total{route=\"/items/{item}\",status=\"200\"} 1"), "{metrics}");
    assert!(metrics.contains("saldo_http_answers_total{route=\"unmatched\",status=\"404\"} 1"), "{metrics}");
    assert!(!metrics.contains("secret-name"));
}
