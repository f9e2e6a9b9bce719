/** A message or frame that is not of this protocol: truncated, misaligned, or of another version. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}
