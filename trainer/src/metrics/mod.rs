//! Metrics of ranked lists, one a file; each is a function of the targets' ranks.

mod mrr;
mod ndcg;
mod rank;
mod recall;
mod spread;

pub use mrr::mrr;
pub use ndcg::ndcg;
pub use rank::{ranks, top};
pub use recall::{hit_rate, recall};
pub use spread::{coverage, gini};
