// Package record reads and writes Kafka's record batches, format v2: the unit in which records are produced, stored,
// replicated and fetched. The log, the Kafka listener and the SQL executor share it. The format is that of KIP-98 and the
// Kafka documentation, chapter "Message Format".
//
// Layers, from the bytes up:
//
//   - [Header] is the 61 bytes before the records; [ParseHeader], [Next] and [Check] take a batch from a buffer and say what
//     is wrong with it; [SetBaseOffset] and [SetLeaderEpoch] patch what a broker fills in, which the checksum leaves out;
//   - [Iterator] walks the records of a batch, uncompressing them first where needed, without allocating per record;
//   - [Builder] makes a batch of records;
//   - [AppendControl] and [ParseControl] are transaction markers; [CommittedReader] hides them and aborted data from a reader;
//   - [PartitionForKey] and its kin place keys as the known clients do.
//
// Errors wrap the Kafka error that a client gets for them: test with errors.Is against kerr.CorruptMessage (bytes do not
// hold together), kerr.InvalidRecord (they do, but break a rule) and kerr.UnsupportedCompressionType.
//
// To debug, print a batch with "millrace log dump FILE".
package record
