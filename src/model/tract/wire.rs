//! Measures an ONNX file without decoding it, by walking its protobuf fields by number and length.

/// Field numbers of onnx.proto: `ModelProto.graph`, `GraphProto.initializer`, `TensorProto.raw_data`.
const WEIGHTS: [u64; 3] = [7, 5, 9];

/// The size of an ONNX file without the raw data of its initializers, in bytes. `None` if the file is not protobuf.
///
/// This size decides how much memory decoding takes: an empty message of two bytes becomes a struct of over a hundred,
/// while a byte of raw data stays one byte.
pub fn structure_bytes(bytes: &[u8]) -> Option<usize> {
    Some(bytes.len() - nested(bytes, &WEIGHTS)?)
}

/// The total length of all fields at a path of field numbers.
fn nested(bytes: &[u8], path: &[u64]) -> Option<usize> {
    let Some((number, rest)) = path.split_first() else { return Some(bytes.len()) };
    let (mut at, mut sum) = (bytes, 0);
    while !at.is_empty() {
        let key = varint(&mut at)?;
        let length = match key & 7 {
            0 => {
                varint(&mut at)?;
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut at)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let content = at.split_off(..length)?;
        if key >> 3 == *number && key & 7 == 2 {
            sum += nested(content, rest)?;
        }
    }
    Some(sum)
}

/// Reads a varint: 7 bits in each byte, the lowest bits first.
fn varint(at: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *at.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_do_not_count() {
        // graph { initializer { raw_data: 5 bytes, name: "w" } node {} }, ir_version 8
        let tensor = [0x4a, 5, 1, 2, 3, 4, 5, 0x42, 1, b'w'];
        let mut graph = vec![0x2a, tensor.len() as u8];
        graph.extend(tensor);
        graph.extend([0x0a, 0]);
        let mut model = vec![0x08, 8, 0x3a, graph.len() as u8];
        model.extend(&graph);
        assert_eq!(structure_bytes(&model), Some(model.len() - 5));
        assert_eq!(structure_bytes(&[]), Some(0));
    }

    #[test]
    fn files_that_are_not_protobuf_are_refused() {
        for bytes in [
            &b"not a graph"[..],
            &[0x3a, 9, 0],
            &[0xff; 20],
            &[0x0b],
            &[0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        ] {
            assert_eq!(structure_bytes(bytes), None, "{bytes:?}");
        }
    }
}
