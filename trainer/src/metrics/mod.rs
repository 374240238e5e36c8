//! Metrics of ranked lists, one kind a file: functions of the targets' ranks, or of the items of a list.

mod auc;
mod average_precision;
mod beyond;
mod calibration;
mod mrr;
mod ndcg;
mod precision;
mod rank;
mod recall;
mod serendipity;
mod spread;

pub use auc::auc;
pub use average_precision::average_precision;
pub use beyond::Beyond;
pub use calibration::Calibration;
pub use mrr::mrr;
pub use ndcg::ndcg;
pub use precision::precision;
pub use rank::{ranks, top};
pub use recall::{hit_rate, recall};
pub use serendipity::serendipity;
pub use spread::{coverage, gini};
