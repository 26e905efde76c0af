//! HTTP as tests speak it: a request in one line, an answer that says what was wrong.

use crate::{LIMIT, SECRET};
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::Value;
use std::{future::IntoFuture, pin::Pin, time::Duration};

/// How long a client waits before it repeats what was not answered; less than it is told to,
/// since each test waits for it.
pub const RETRY_AFTER: Duration = Duration::from_millis(250);

/// A port that is asked.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    client: reqwest::Client,
}

impl Api {
    /// The API at `host:port`.
    pub fn at(address: &str) -> Api {
        let client = reqwest::Client::builder()
            .no_proxy()
            // A connection kept from before a restart would fail the first request after it.
            .pool_max_idle_per_host(0)
            .timeout(LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client of these settings");
        Api {
            base: format!("http://{address}"),
            client,
        }
    }

    /// A request.
    pub fn ask(&self, method: Method, path: &str) -> Ask {
        Ask {
            what: format!("{method} {path}"),
            builder: self.client.request(method, format!("{}{path}", self.base)),
        }
    }
}

/// A request that is being put together; awaiting it sends it, again if the store is too busy.
#[derive(Debug)]
pub struct Ask {
    what: String,
    builder: RequestBuilder,
}

impl Ask {
    /// A JSON body.
    pub fn json(mut self, body: &Value) -> Self {
        self.what = format!("{} {body}", self.what);
        self.builder = self.builder.json(body);
        self
    }

    /// A form-encoded body.
    pub fn form(mut self, body: &[(&str, &str)]) -> Self {
        self.what = format!("{} {body:?}", self.what);
        self.builder = self.builder.form(body);
        self
    }

    /// Any body.
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let builder = self.builder.header("content-type", content_type);
        self.builder = builder.body(body.into());
        self
    }

    /// Any header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    /// The sign-in, as a browser shows it.
    pub fn cookie(self, auth: &str) -> Self {
        self.header("cookie", &format!("ting_auth={auth}"))
    }

    /// The sign-in, as a client without a cookie jar shows it.
    pub fn bearer(self, auth: &str) -> Self {
        self.header("authorization", &format!("Bearer {auth}"))
    }

    /// With the shared secret.
    pub fn privileged(self) -> Self {
        self.header("authorization", SECRET)
    }

    /// Sends it once; an error is that there was no answer.
    pub async fn try_send(self) -> Result<Answer, String> {
        let what = self.what;
        let failed = |error: reqwest::Error| format!("{what}: {error:?}");
        let response = self.builder.send().await.map_err(failed)?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.map_err(failed)?,
            what,
        })
    }
}

impl IntoFuture for Ask {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    /// Repeats what a busy store has not answered, as clients do.
    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move {
            let until = tokio::time::Instant::now() + LIMIT;
            let mut repeated = false;
            loop {
                let again = self.builder.try_clone().map(|builder| Ask {
                    what: self.what.clone(),
                    builder,
                });
                let mut answer = match self.try_send().await {
                    Ok(answer) => answer,
                    Err(error) => panic!("{error}"),
                };
                // What was deleted by the attempt that nobody answered is not there any more.
                if repeated && answer.status == 404 && answer.what.starts_with("DELETE") {
                    answer.status = 204;
                }
                match again {
                    Some(again)
                        if tokio::time::Instant::now() < until && answer.is_unavailable().await =>
                    {
                        self = again;
                        repeated = true;
                    }
                    _ => return answer,
                }
            }
        })
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What was asked.
    pub what: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl Answer {
    /// Insists on a status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(
            self.status, status,
            "status of {}: {} {:?}",
            self.what, self.text, self.headers
        );
        self
    }

    /// Insists on a refusal, its code and the shape of refusals.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        let answer = self.is(status);
        let body = answer.json();
        assert_eq!(body["error"], code, "refusal of {}: {body}", answer.what);
        let keys = body.as_object().map_or(0, |body| body.len());
        let expected = 1 + usize::from(body.get("fields").is_some());
        assert_eq!(keys, expected, "keys of a refusal: {body}");
        answer
    }

    /// Whether the store did not answer in time, as on a machine that is busy; it may be tried
    /// again once this returns.
    pub async fn is_unavailable(&self) -> bool {
        let unavailable = self.status == 503 && self.text.contains("unavailable");
        if unavailable {
            tokio::time::sleep(RETRY_AFTER).await;
        }
        unavailable
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let kind = self.header("content-type").unwrap_or_default();
        assert!(
            kind.starts_with("application/json"),
            "{} is answered in {kind:?}: {}",
            self.what,
            self.text
        );
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.what, self.text))
    }

    /// One of the body's fields.
    #[track_caller]
    pub fn field(&self, name: &str) -> Value {
        let body = self.json();
        body.get(name)
            .unwrap_or_else(|| panic!("{} has no {name}: {body}", self.what))
            .clone()
    }

    /// The `messageid`.
    #[track_caller]
    pub fn messageid(&self) -> u64 {
        let id = self.field("messageid");
        id.as_u64().unwrap_or_else(|| panic!("{id} is no id"))
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The `Set-Cookie` of `ting_auth`.
    #[track_caller]
    pub fn set_cookie(&self) -> String {
        let mut cookies = self.headers.get_all("set-cookie").iter();
        let ting_auth = cookies.find(|cookie| cookie.as_bytes().starts_with(b"ting_auth="));
        ting_auth
            .and_then(|cookie| cookie.to_str().ok())
            .unwrap_or_else(|| panic!("{} sets no ting_auth: {:?}", self.what, self.headers))
            .to_owned()
    }
}
