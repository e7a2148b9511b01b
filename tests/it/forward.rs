//! The forwarders' control endpoint: what goes through to the apiserver, AWS and the databases, held or spoilt on request.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::world::{SOON, World, patiently, until};

/// A rule at the forwarders; it goes, and releases what it holds, with this handle.
pub struct Rule {
    world: &'static World,
    id: String,
}

/// A refusal as the apiserver words it.
pub fn refusal(code: u16, reason: &str, patience: u32) -> Value {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code,
        "details": {"retryAfterSeconds": patience},
    });
    json!({"status": code, "body": status.to_string()})
}

/// What a rule has met.
#[derive(Clone, Debug, Default)]
pub struct Met {
    /// How many requests it affected, counted once the answer is there.
    pub fired: u64,
    /// How many came that match, affected or not.
    pub seen: u64,
    /// The last of them.
    pub request: String,
    /// What that was sent to.
    pub target: String,
}

impl Rule {
    /// Arms a rule for the `nth` request on, to whatever target, that matches a regular expression, and for `times` of them (0: all).
    pub fn arm(world: &'static World, action: &str, pattern: &str, nth: u32, times: u32) -> Self {
        Self::new(world, &json!({"target": "*", "match": pattern, "action": action, "nth": nth, "times": times}))
    }

    /// Arms a rule that answers all requests to a target that match, in its stead.
    pub fn answer(world: &'static World, target: &str, pattern: &str, answer: &Value) -> Self {
        let mut rule = json!({"target": target, "match": pattern, "action": "answer", "nth": 1, "times": 0});
        for (key, value) in answer.as_object().into_iter().flatten() {
            rule[key] = value.clone();
        }
        Self::new(world, &rule)
    }

    /// Arms a rule for all requests to one target that match.
    pub fn arm_at(world: &'static World, target: &str, pattern: &str, action: &str) -> Self {
        Self::new(world, &json!({"target": target, "match": pattern, "action": action, "nth": 1, "times": 0}))
    }

    fn new(world: &'static World, rule: &Value) -> Self {
        let answer = ask(world, "POST", "/rules", Some(rule)).expect("a rule");
        Self { world, id: answer["id"].as_str().expect("an id").to_owned() }
    }

    /// What it has met by now.
    pub fn met(&self) -> Met {
        let answer = ask(self.world, "GET", &format!("/rules/{}", self.id), None).expect("the rule's state");
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        let count = |key: &str| answer[key].as_u64().unwrap_or_default();
        Met { fired: count("fired"), seen: count("seen"), request: text("request"), target: text("target") }
    }

    /// For a rule about the `nth` request: waits until it has met that one, or all is done without. Who sees that all is done may see it before the
    /// answer to the last request has come by.
    pub async fn is_met<F: Future<Output = bool>>(&self, what: &str, nth: u32, is_done: impl Fn() -> F) -> bool {
        let is_over = || async { (self.met().fired > 0 || is_done().await).then_some(()) };
        until(&format!("{what}: done, or at the write"), SOON, is_over).await;
        // Whoever gives a request up before it is answered has not met the rule.
        let is_answered = || async { (self.met().fired > 0).then_some(()) };
        self.met().seen >= nth.into() && patiently(SOON, is_answered).await.is_some()
    }
}

impl Drop for Rule {
    fn drop(&mut self) {
        let _ = ask(self.world, "DELETE", &format!("/rules/{}", self.id), None);
    }
}

/// Number of the request that the forwarders will see next.
pub fn next_request(world: &World) -> u64 {
    let answer = ask(world, "GET", &format!("/requests?since={}", u64::MAX >> 1), None).expect("the log's end");
    answer["next"].as_u64().expect("a number")
}

/// The requests from one number up to another that match a regular expression, in their order.
pub fn requests(world: &World, from: u64, to: u64, pattern: &str) -> Vec<String> {
    let pattern = percent_encoding::utf8_percent_encode(pattern, percent_encoding::NON_ALPHANUMERIC);
    let answer = ask(world, "GET", &format!("/requests?since={from}&match={pattern}"), None).expect("requests");
    assert_eq!(answer["lost"], 0, "the forwarders' log is too short for this");
    let requests = answer["requests"].as_array().into_iter().flatten();
    let requests = requests.filter(|it| it["n"].as_u64().is_some_and(|n| n < to));
    requests.filter_map(|it| it["request"].as_str().map(str::to_owned)).collect()
}

/// One request to the control endpoint. HTTP 1.0: the answer ends with the connection.
fn ask(world: &World, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
    let address = world.var("WORLD_FORWARD").trim_start_matches("http://");
    let body = body.map(Value::to_string).unwrap_or_default();
    let exchange = || {
        let mut stream = TcpStream::connect(address)?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = exchange().map_err(|error| format!("{address}: {error}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("half an answer")?;
    let is_good = head.split(' ').nth(1).is_some_and(|code| code.starts_with('2'));
    if is_good { serde_json::from_str(body).map_err(|error| error.to_string()) } else { Err(answer) }
}
