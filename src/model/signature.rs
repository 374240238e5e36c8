//! The signatures of the graphs: names, element types and shapes of their inputs and outputs, in order.
//!
//! The tables in this file are the only declaration. The trainer writes a graph's inputs and outputs from them, the
//! runtime checks a graph against them, and the recommender packs inputs and reads outputs by them. A new graph needs
//! one more [`Signature`] and one more [`Graph`](super::Graph). `bundle_format.md` has the same tables for readers; a
//! test compares them.

use super::tensor::{Element, Tensor, TensorData};

/// A dimension of an input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// Requests in one run of a tower, candidates in one run of the ranker. A graph takes any number; this crate runs
    /// one request, and candidates in the numbers of [`Graph::batches`](super::Graph::batches).
    Batch,
    /// d: dimensions of a vector.
    Dim,
    /// L: events of the history.
    History,
    /// C: slots of the context.
    ContextSlots,
    /// S: slots of an item.
    ItemSlots,
    /// 1 + d: the constant and the weights of a predicted rating.
    Rating,
    /// R: slots of a candidate.
    RankerSlots,
    /// H: outputs of the ranker.
    Heads,
}

/// The lengths of all axes in the graphs of one bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shapes {
    /// b: requests or candidates in one run.
    pub batch: usize,
    /// d: dimensions of a vector.
    pub dim: usize,
    /// L: events of the history.
    pub len: usize,
    /// C: slots of the context.
    pub context: usize,
    /// S: slots of an item.
    pub item: usize,
    /// R: slots of a candidate; 0 without a ranker.
    pub ranker: usize,
    /// H: outputs of the ranker; 0 without one.
    pub heads: usize,
}

impl Default for Shapes {
    /// A batch of 1; all other lengths are 0.
    fn default() -> Self {
        Shapes { batch: 1, dim: 0, len: 0, context: 0, item: 0, ranker: 0, heads: 0 }
    }
}

impl Shapes {
    /// The length of an axis in one run.
    pub const fn length(&self, axis: Axis) -> usize {
        match axis {
            Axis::Batch => self.batch,
            Axis::Dim => self.dim,
            Axis::History => self.len,
            Axis::ContextSlots => self.context,
            Axis::ItemSlots => self.item,
            Axis::Rating => 1 + self.dim,
            Axis::RankerSlots => self.ranker,
            Axis::Heads => self.heads,
        }
    }
}

/// An input or output of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// Its name in the ONNX file.
    pub name: &'static str,
    /// The type of its numbers.
    pub element: Element,
    /// Its dimensions, the outermost first.
    pub axes: &'static [Axis],
}

impl Port {
    /// Its shape in one run.
    pub fn shape(&self, shapes: &Shapes) -> Vec<usize> {
        self.axes.iter().map(|axis| shapes.length(*axis)).collect()
    }

    /// How many numbers it has in one run.
    pub fn count(&self, shapes: &Shapes) -> usize {
        self.axes.iter().map(|axis| shapes.length(*axis)).product()
    }
}

/// The inputs and outputs of a graph, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// The inputs, all of them required.
    pub inputs: &'static [Port],
    /// The outputs. The first `required` are in every graph; the others are optional.
    pub outputs: &'static [Port],
    /// The number of outputs that every graph has.
    pub required: usize,
}

impl Signature {
    /// Makes the tensors of one run from the data of each input, in order. Data shorter than its input is padded
    /// with 0.
    pub fn pack(&self, data: Vec<TensorData>, shapes: &Shapes) -> Vec<Tensor> {
        let tensor = |(port, mut data): (&Port, TensorData)| {
            data.resize(port.count(shapes));
            Tensor { shape: port.shape(shapes), data }
        };
        self.inputs.iter().zip(data).map(tensor).collect()
    }

    /// Whether these can be the outputs of one run: no required output is missing, each has its length, and all
    /// numbers are finite.
    pub fn fits(&self, outputs: &[Vec<f32>], shapes: &Shapes) -> bool {
        let one = |(port, output): (&Port, &Vec<f32>)| output.len() == port.count(shapes) && output.iter().all(|x| x.is_finite());
        (self.required..=self.outputs.len()).contains(&outputs.len()) && self.outputs.iter().zip(outputs).all(one)
    }
}

/// Declares a struct with a field for each port, so that code refers to ports by name and only the table sets their
/// order.
macro_rules! ports {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $port:ident: $element:ident [$($axis:ident),*],)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name<T> {
            $($(#[$of])* pub $port: T,)*
        }

        impl $name<Port> {
            const PORTS: [Port; [$(stringify!($port)),*].len()] =
                [$(Port { name: stringify!($port), element: Element::$element, axes: &[$(Axis::$axis),*] }),*];
        }

        impl<T> $name<T> {
            /// Makes one value for each port, in order.
            pub fn each(mut make: impl FnMut(&'static Port) -> T) -> Self {
                let [$($port),*] = &$name::PORTS;
                $name { $($port: make($port)),* }
            }

            /// The values in the order of the ports.
            pub fn in_order(self) -> Vec<T> {
                vec![$(self.$port),*]
            }
        }
    };
}

ports! {
    /// Inputs of the user tower. Events are newest first; positions without an event are 0.
    UserInputs {
        /// Vectors of the items.
        vectors: F32 [Batch, History, Dim],
        /// Types of event, as indices.
        types: I64 [Batch, History],
        /// Buckets of the values, such as ratings; 0 for none.
        values: I64 [Batch, History],
        /// Buckets of the gaps to the events before; 0 for none.
        gaps: I64 [Batch, History],
        /// Positions of the events in a run of events in the same second.
        runs: I64 [Batch, History],
        /// 1 where there is an event, 0 elsewhere.
        mask: F32 [Batch, History],
        /// Slots of the context.
        context_slots: I64 [Batch, ContextSlots],
        /// Weights of these slots.
        context_weights: F32 [Batch, ContextSlots],
    }
}

ports! {
    /// Outputs of the user tower.
    UserOutputs {
        /// The visitor's vector.
        user: F32 [Batch, Dim],
        /// `[c, w]`: the predicted rating of an item with the vector v is c + w · v. Only in bundles that predict
        /// ratings.
        rating: F32 [Batch, Rating],
    }
}

/// The user tower: computes the visitor's vector from history and context.
pub static USER_TOWER: Signature = Signature { inputs: &UserInputs::PORTS, outputs: &UserOutputs::PORTS, required: 1 };

ports! {
    /// Inputs of the item tower.
    ItemInputs {
        /// 1 + the row of the item; 0 for an item that is not in the catalog.
        id: I64 [Batch],
        /// Slots of the columns.
        slots: I64 [Batch, ItemSlots],
        /// Weights of these slots.
        weights: F32 [Batch, ItemSlots],
    }
}

ports! {
    /// Outputs of the item tower.
    ItemOutputs {
        /// The vector that scores the item.
        vector: F32 [Batch, Dim],
        /// The bias, in logits.
        bias: F32 [Batch],
        /// The vector that a history reads for the item. Only in bundles where it differs from `vector`.
        input: F32 [Batch, Dim],
    }
}

/// The item tower: computes an item's vector and bias from its id and columns.
pub static ITEM_TOWER: Signature = Signature { inputs: &ItemInputs::PORTS, outputs: &ItemOutputs::PORTS, required: 2 };

ports! {
    /// Inputs of the ranker, for each candidate.
    RankerInputs {
        /// The visitor's vector.
        user: F32 [Batch, Dim],
        /// The candidate's vector.
        item: F32 [Batch, Dim],
        /// Slots of the inputs that the manifest lists.
        slots: I64 [Batch, RankerSlots],
        /// Weights of these slots.
        weights: F32 [Batch, RankerSlots],
    }
}

ports! {
    /// Outputs of the ranker.
    RankerOutputs {
        /// The output of each head, before its calibration.
        heads: F32 [Batch, Heads],
    }
}

/// The ranker: computes the outputs of the heads for each candidate.
pub static RANKER: Signature = Signature { inputs: &RankerInputs::PORTS, outputs: &RankerOutputs::PORTS, required: 1 };

#[cfg(test)]
mod tests {
    use super::super::Graph;
    use super::*;

    const SHAPES: Shapes = Shapes { batch: 1, dim: 3, len: 2, context: 4, item: 5, ranker: 6, heads: 2 };

    #[test]
    fn inputs_are_padded_to_their_shapes() {
        let none = || TensorData::I64(vec![]);
        let inputs = ItemInputs { id: TensorData::I64(vec![7]), slots: none(), weights: TensorData::F32(vec![0.5]) };
        let [id, slots, weights] = &ITEM_TOWER.pack(inputs.in_order(), &SHAPES)[..] else { panic!("three inputs") };
        assert_eq!(id, &Tensor { shape: vec![1], data: TensorData::I64(vec![7]) });
        assert_eq!(slots, &Tensor { shape: vec![1, 5], data: TensorData::I64(vec![0; 5]) });
        assert_eq!(weights.data, TensorData::F32(vec![0.5, 0.0, 0.0, 0.0, 0.0]));
    }

    #[test]
    fn outputs_have_their_lengths() {
        let zeros = |lengths: &[usize]| lengths.iter().map(|n| vec![0.0; *n]).collect::<Vec<_>>();
        for (lengths, fits) in [(&[3][..], true), (&[3, 4], true), (&[], false), (&[4], false), (&[3, 4, 4], false)] {
            assert_eq!(USER_TOWER.fits(&zeros(lengths), &SHAPES), fits, "{lengths:?}");
        }
        assert!(!USER_TOWER.fits(&[vec![0.0, f32::NAN, 0.0]], &SHAPES));
        assert!(!ITEM_TOWER.fits(&zeros(&[3]), &SHAPES), "an item has a bias too");
    }

    /// Ports as `bundle_format.md` writes them: consecutive ports of the same type and shape share an entry.
    fn written(ports: &[Port]) -> Vec<String> {
        let symbol = |axis: &Axis| match axis {
            Axis::Batch => "b",
            Axis::Dim => "d",
            Axis::History => "L",
            Axis::ContextSlots => "C",
            Axis::ItemSlots => "S",
            Axis::Rating => "1 + d",
            Axis::RankerSlots => "R",
            Axis::Heads => "H",
        };
        let group = |ports: &[Port]| {
            let names: Vec<String> = ports.iter().map(|port| format!("`{}`", port.name)).collect();
            let axes: Vec<&str> = ports[0].axes.iter().map(symbol).collect();
            let element = format!("{:?}", ports[0].element).to_lowercase();
            format!("{} {element} `[{}]`", names.join(", "), axes.join(", "))
        };
        ports.chunk_by(|a, b| (a.element, a.axes) == (b.element, b.axes)).map(group).collect()
    }

    #[test]
    fn the_page_of_the_format_has_the_same_tables() {
        let page = include_str!("../docs/bundle_format.md");
        for graph in Graph::ALL {
            let first = format!("| {} |", graph.name().replace('_', " "));
            let mut lines = page.lines().skip_while(|line| !line.starts_with(&first));
            let mut rows: Vec<&str> = lines.next().into_iter().collect();
            rows.extend(lines.take_while(|line| line.starts_with("| | ")));
            let column = |at: usize| {
                let cells = rows.iter().filter_map(|row| row.split('|').nth(at)).map(str::trim);
                cells.filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join("; ")
            };
            let signature = graph.signature();
            assert_eq!(column(2), written(signature.inputs).join("; "));
            let outputs = column(3);
            let mut rest = outputs.as_str();
            for port in signature.outputs {
                let text = &written(&[*port])[0];
                let at = rest.find(text.as_str()).unwrap_or_else(|| panic!("{text} in {rest}"));
                rest = &rest[at + text.len()..];
            }
            assert!(!rest.contains('['), "the page has more outputs: {rest}");
        }
    }
}
