//! Who may use the API, and from where.

use reqwest::{Client, Method, RequestBuilder, multipart};

use super::{NOBODY, Served, header};

const TOKEN: &str = "open sesame";

fn request(served: &Served, method: Method, path: &str) -> RequestBuilder {
    Client::new().request(method, format!("{}{path}", served.url))
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.expect("it answers").status().as_u16()
}

#[tokio::test]
async fn a_page_of_somebody_elses_gets_nothing_with_a_token_or_without_one() {
    for token in [None, Some(TOKEN)] {
        let served = Served::with(token).await;
        let upload = || {
            let file = multipart::Part::bytes(b"x".as_slice()).file_name("x");
            let form = multipart::Form::new().part("jarfile", file);
            request(&served, Method::POST, "/jars/upload").bearer_auth(TOKEN).multipart(form)
        };
        let own = served.url.clone();
        let nobodys = format!("http:/elsewhere.example {own}");
        let elsewhere = [
            ("host", "elsewhere.example:8081"),
            ("host", "localhost.elsewhere.example"),
            ("host", "192.0.2.1"),
            ("origin", "http://elsewhere.example"),
            ("origin", "null"),
            ("origin", "http://localhost:1"),
            ("origin", nobodys.as_str()),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ];
        for (name, value) in elsewhere {
            assert_eq!(status(upload().header(name, value)).await, 403, "{name}: {value}");
            let plain = request(&served, Method::GET, "/overview").header(name, value);
            assert_eq!(status(plain).await, 403, "{name}: {value}");
        }
        for (name, value) in [
            ("host", "localhost:9000"),
            ("host", "[::1]:9000"),
            ("host", "Cluster.Example"),
            ("origin", own.as_str()),
            ("sec-fetch-site", "same-origin"),
        ] {
            assert_eq!(status(upload().header(name, value)).await, 200, "{name}: {value}");
        }
    }
}

#[tokio::test]
async fn no_page_of_somebody_elses_may_read_an_answer() {
    for token in [None, Some(TOKEN)] {
        let served = Served::with(token).await;
        for (method, path) in
            [(Method::GET, "/overview"), (Method::OPTIONS, "/overview"), (Method::GET, "/nowhere")]
        {
            for origin in ["http://elsewhere.example", served.url.as_str()] {
                let asked = request(&served, method.clone(), path).bearer_auth(TOKEN);
                let asked = asked.header(header::ORIGIN, origin);
                let asked = asked.header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST");
                let answer = asked.send().await.expect("it answers");
                let mut allowed = answer.headers().keys().map(|name| name.as_str().to_owned());
                let allowed = allowed.find(|name| name.starts_with("access-control-"));
                assert_eq!(allowed, None, "{method} {path} for {origin}");
            }
        }
    }
}

#[tokio::test]
async fn a_form_is_no_json_unless_the_token_is_shown() {
    let served = Served::with(None).await;
    let stop = || {
        let path = format!("/jobs/{NOBODY}/stop");
        request(&served, Method::POST, &path).body(r#"{"targetDirectory":"/x"}"#)
    };
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        assert_eq!(status(stop().header(header::CONTENT_TYPE, kind)).await, 415, "{kind}");
    }
    assert_eq!(status(stop()).await, 415, "what has no type");
    let json = stop().header(header::CONTENT_TYPE, "application/json; charset=UTF-8");
    assert_eq!(status(json).await, 202);

    let guarded = Served::with(Some(TOKEN)).await;
    let path = format!("/jobs/{NOBODY}/stop");
    let shown = request(&guarded, Method::POST, &path).bearer_auth(TOKEN);
    assert_eq!(status(shown.body(r#"{"targetDirectory":"/x"}"#)).await, 202, "as curl -d sends it");
}

#[tokio::test]
async fn without_the_token_there_is_nothing_but_whether_somebody_is_there() {
    let served = Served::with(Some(TOKEN)).await;
    let (_, document) = {
        let answer = request(&served, Method::GET, "/openapi.json").bearer_auth(TOKEN).send().await;
        let answer = answer.expect("it answers");
        (answer.status(), answer.json::<serde_json::Value>().await.expect("JSON"))
    };
    for (path, operations) in document["paths"].as_object().expect("an object") {
        let path = path.replace("{jobid}", NOBODY).replace(['{', '}'], "");
        for method in operations.as_object().expect("an object").keys() {
            let method = method.to_uppercase().parse::<Method>().expect("one of HTTP's");
            let found = status(request(&served, method.clone(), &path)).await;
            let expected = if path == "/health" { 200 } else { 401 };
            assert_eq!(found, expected, "{method} {path}");
            let wrong = request(&served, method.clone(), &path).bearer_auth("open sesam");
            assert_eq!(status(wrong).await, expected, "{method} {path}");
        }
    }
    for path in ["/nowhere", "/v1/jobmanager/log", "/openapi.json"] {
        assert_eq!(status(request(&served, Method::GET, path)).await, 401, "{path}");
    }
    assert_eq!(status(request(&served, Method::OPTIONS, "/jobs")).await, 401);
}

#[tokio::test]
async fn a_browser_logs_in_once_with_a_code_and_keeps_a_cookie() {
    let served = Served::with(Some(TOKEN)).await;
    assert_eq!(status(request(&served, Method::POST, "/login")).await, 401);
    let made = request(&served, Method::POST, "/login").bearer_auth(TOKEN).send().await;
    let made = made.expect("it answers").json::<serde_json::Value>().await.expect("JSON");
    let path = made["path"].as_str().expect("a path").to_owned();
    let head = request(&served, Method::HEAD, &path).bearer_auth(TOKEN);
    assert_eq!(status(head).await, 405, "it uses nothing up");
    // Also when it was a link on another page.
    let visit = || request(&served, Method::GET, &path).header("sec-fetch-site", "cross-site");
    let answer = visit().send().await.expect("it answers");
    assert_eq!(answer.status(), 200);
    let set = answer.headers()[header::SET_COOKIE].to_str().expect("a text").to_owned();
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{set}");
    assert!(!set.contains(TOKEN), "{set}");
    assert_eq!(status(visit()).await, 401, "it was good for once");

    let cookie = set.split(';').next().expect("the first part");
    let asked = |path: &str| {
        request(&served, Method::GET, path).header(header::COOKIE, format!("other=1; {cookie}"))
    };
    assert_eq!(status(asked("/jobs")).await, 200);
    assert_eq!(status(asked("/jobs").header("sec-fetch-site", "same-site")).await, 403);
    let forged =
        request(&served, Method::GET, "/jobs").header(header::COOKIE, format!("{cookie}0"));
    assert_eq!(status(forged).await, 401);
    let more = request(&served, Method::POST, "/login").header(header::COOKIE, cookie);
    assert_eq!(status(more).await, 403, "only who knows the token lets others in");
}
