//! Requests and answers.

use reqwest::{
    Method,
    header::{HeaderMap, HeaderValue},
};
use serde_json::Value;

/// A request in the making.
pub struct Ask {
    client: reqwest::Client,
    method: Method,
    url: String,
    headers: HeaderMap,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Ask {
    pub fn new(base: &str, path: &str) -> Self {
        let (client, url) = (reqwest::Client::new(), format!("{base}{path}"));
        Self { client, method: Method::GET, url, headers: HeaderMap::new() }
    }

    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Beside those of the same name.
    pub fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.headers.append(name, HeaderValue::from_bytes(value.as_ref()).unwrap());
        self
    }

    /// In place of the tenant that stands there.
    pub fn tenant(mut self, tenant: &str) -> Self {
        self.headers.insert("saldo-tenant", tenant.parse().unwrap());
        self
    }

    /// Demands a position and waits this long for it.
    pub fn at_least(self, position: &str, wait_ms: u64) -> Self {
        self.header("saldo-min-position", position).header("saldo-wait-ms", wait_ms.to_string())
    }

    pub async fn send(self) -> Answer {
        let response = self.client.request(self.method, self.url).headers(self.headers).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap() }
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The slug of a problem.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        problem["type"].as_str().unwrap().strip_prefix("urn:saldo:problem:").unwrap().to_owned()
    }

    /// Status and slug of a refusal.
    pub fn refusal(&self) -> (u16, String) {
        (self.status, self.problem())
    }

    /// The items of a list.
    pub fn items(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["items"].as_array().unwrap().clone()
    }

    /// The cursor of the next page.
    pub fn next(&self) -> Option<String> {
        self.json()["next"].as_str().map(ToOwned::to_owned)
    }
}
