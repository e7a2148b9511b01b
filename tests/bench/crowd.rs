//! One namespace with very many tokens, and what the others see of it.

use std::time::Duration;

use crate::figures::Crowd;
use crate::fleet::{Fleet, Shape};
use crate::latency;
use crate::plane::Plane;
use crate::scenes::{self, REST};

/// Tokens of the others.
const OTHERS: usize = 1_000;

/// Tokens of the one namespace.
const CROWD: usize = 5_000;

/// How often others make a token while the crowd is served, so that some are made before it is.
const HURRY: Duration = Duration::from_millis(60);

/// The others alone, beside the crowd at rest, and while all of the crowd must be written.
pub async fn measure(plane: &Plane) -> Crowd {
    let (others, operator, _) = scenes::cold_start(plane, OTHERS).await;
    let alone = latency::first_and_later(plane, &others, &operator).await.1;
    let alone_in_a_hurry = latency::measure(plane, &others, &operator, 3, HURRY).await.latency;
    println!("==> {CROWD} tokens more in one namespace");
    let crowd = Fleet::prepare(plane, Shape::crowd(CROWD)).await;
    crowd.until_users_are_known().await;
    let mut meter = plane.meter(Some(&operator));
    crowd.make_tokens().await;
    meter.until_quiet(REST, Duration::from_secs(300)).await;
    let at_rest = latency::later(plane, &others, &operator).await.latency;
    let mut meter = plane.meter(Some(&operator));
    crowd.order_ca(true).await;
    // Until it has begun.
    meter.until_written(100, Duration::from_secs(60)).await;
    let served = latency::measure(plane, &others, &operator, 3, HURRY).await;
    meter.until_written(CROWD, Duration::from_secs(120)).await;
    let figures =
        Crowd { tokens: CROWD, alone, alone_in_a_hurry, at_rest, served: served.latency, served_rate: served.others };
    println!("    {figures:.1?}");
    crowd.remove().await;
    others.remove().await;
    figures
}
