//! Metrics of recommendations, one kind a file.
//!
//! Each file holds the formula as a plain function and declares one or more [`Metric`]s: name, unit, which values are
//! better, and what the formula reads. Which metrics are reported is declared by the protocols (`protocols/p*.rs`);
//! `measure` computes them, and reports read the name and the direction from the declaration.
//!
//! A new metric is one file here with its line in this list, and one line in the list of every protocol that reports
//! it.

mod auc;
mod average_precision;
mod calibration;
mod coverage;
mod diversity;
mod gini;
mod hit_rate;
mod item_users;
mod metric;
mod ndcg;
mod novelty;
mod popularity_lift;
mod precision;
mod rank;
mod rating_error;
mod recall;
mod reciprocal_rank;
mod serendipity;
mod unknown_targets;

pub use auc::{AUC, auc};
pub use average_precision::{AVERAGE_PRECISION, average_precision};
pub use calibration::{CALIBRATION, ItemGroups, calibration};
pub use coverage::{COVERAGE, coverage};
pub use diversity::{DIVERSITY, diversity};
pub use gini::{GINI, gini};
pub use hit_rate::{HIT_RATE, hit_rate};
pub use item_users::ItemUsers;
pub(crate) use metric::named;
pub use metric::{AllLists, Better, Formula, List, Metric};
pub use ndcg::{GRADED_NDCG, NDCG, graded_ndcg, ndcg};
pub use novelty::{NOVELTY, novelty};
pub use popularity_lift::{POPULARITY_LIFT, popularity_lift};
pub use precision::{PRECISION, precision};
pub use rank::{ranks, top};
pub use rating_error::{MAE, RMSE, absolute_errors, cut, rmse_contributions};
pub use recall::{RECALL, recall};
pub use reciprocal_rank::{RECIPROCAL_RANK, reciprocal_rank};
pub use serendipity::{SERENDIPITY, serendipity};
pub use unknown_targets::UNKNOWN_TARGETS;
