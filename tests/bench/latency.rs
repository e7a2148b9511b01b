//! How long whoever makes a token waits for its Secret.

use std::time::Duration;

use crate::figures::Latency;
use crate::fleet::Fleet;
use crate::operator::Operator;
use crate::plane::{Meter, Plane};

/// How many identities get a token more.
const IDENTITIES: usize = 20;

/// How often each of them gets one more when it has signed.
const ROUNDS: usize = 3;

/// From one new token to the next: with its request about a second.
pub const PACE: Duration = Duration::from_millis(970);

/// For the last of the Secrets.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was seen of new tokens.
pub struct Seen {
    pub latency: Latency,
    /// Secrets of others that the operator wrote in a second meanwhile.
    pub others: f64,
}

/// Of the first tokens of identities that have not signed since the operator started, then of further ones.
pub async fn first_and_later(plane: &Plane, fleet: &Fleet<'_>, operator: &Operator) -> (Latency, Latency) {
    let first = measure(plane, fleet, operator, 1, PACE).await.latency;
    let later = measure(plane, fleet, operator, ROUNDS, PACE).await.latency;
    println!("    apply to Secret: {later:.1?} ms; the first of an identity: {first:.1?} ms");
    (first, later)
}

/// Of new tokens of identities that sign already, one a second.
pub async fn later(plane: &Plane, fleet: &Fleet<'_>, operator: &Operator) -> Seen {
    measure(plane, fleet, operator, ROUNDS, PACE).await
}

/// Of one token more for each of the identities, so many times, with a pause after each.
pub async fn measure(plane: &Plane, fleet: &Fleet<'_>, operator: &Operator, rounds: usize, pause: Duration) -> Seen {
    let mut meter = plane.meter(Some(operator));
    let mut places = Vec::new();
    for _ in 0..rounds {
        for at in fleet.newcomers(IDENTITIES) {
            fleet.make_token(at).await;
            places.push(fleet.place(at));
            tokio::time::sleep(pause).await;
        }
    }
    meter.look();
    let others = meter.written().saturating_sub(places.len()) as f64 / meter.seconds();
    loop {
        let waits: Option<Vec<f64>> = places.iter().map(|place| wait(&meter, place)).collect();
        if let Some(waits) = waits {
            return Seen { latency: Latency::of(waits), others };
        }
        assert!(meter.seconds() < (PATIENCE + pause * 100).as_secs_f64(), "new tokens have no Secret yet");
        tokio::time::sleep(Duration::from_millis(200)).await;
        meter.look();
    }
}

/// Milliseconds from the answer to the object's creation to that of its Secret's, which has the same name.
fn wait(meter: &Meter<'_>, place: &(String, String)) -> Option<f64> {
    let (namespace, name) = (place.0.as_str(), place.1.as_str());
    let at = |resource| {
        let made = meter.requests.iter().find(|it| it.made(resource) && it.object() == (namespace, name));
        made.map(|it| it.at)
    };
    Some(at("secrets")?.duration_since(at("dbauthtokens")?).as_secs_f64() * 1_000.0)
}
