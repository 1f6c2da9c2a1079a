// Package event writes TensorBoard's event files.
package event

import (
	"encoding/binary"
	"hash/crc32"
	"io"

	"google.golang.org/protobuf/proto"
)

//go:generate go -C ../../../../tools tool buf generate --template "{\"version\":\"v2\",\"plugins\":[{\"local\":[\"go\",\"tool\",\"protoc-gen-go\"],\"out\":\"../reports/format/internal/event\",\"opt\":\"paths=source_relative\"}]}" ../reports/format/internal/event

// Version is what the first record of a file says.
const Version = "brain.Event:2"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Write writes an event as a TFRecord: its length in 8 bytes, their checksum, the event,
// and its checksum, little-endian (tensorflow/core/lib/io/record_writer.h).
func Write(w io.Writer, e *Event) error {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(e)
	if err != nil {
		return err
	}
	record := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	record = binary.LittleEndian.AppendUint32(record, checksum(record))
	record = append(record, data...)
	record = binary.LittleEndian.AppendUint32(record, checksum(data))
	_, err = w.Write(record)
	return err
}

// checksum is the CRC-32C of data, rotated and shifted so that a checksum of data with
// checksums in it is none of a checksum (tensorflow/core/lib/hash/crc32c.h).
func checksum(data []byte) uint32 {
	crc := crc32.Checksum(data, castagnoli)
	return (crc>>15 | crc<<17) + 0xa282ead8
}
