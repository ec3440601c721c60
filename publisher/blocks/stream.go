package blocks

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Names of files and folders of a stream.
const (
	messagesDir  = "msgs"
	consumersDir = "obs"
	blockSuffix  = ".blk"
	indexFile    = "index.db"
	settingsFile = "meta.inf"
	settingsSum  = "meta.sum"
	keyFile      = "meta.key"
	stateFile    = "o.dat"
)

// timerFiles hold scheduled messages and message expirations.
var timerFiles = [...]string{"sched.db", "thw.db"}

// folder is the folder of a stream.
type folder struct{ path, stream string }

// numbers are the numbers of the blocks, in ascending order.
func (f folder) numbers() ([]uint32, error) {
	entries, err := os.ReadDir(filepath.Join(f.path, messagesDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var out []uint32
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), blockSuffix)
		if n, err := strconv.ParseUint(name, 10, 32); ok && err == nil {
			out = append(out, uint32(n))
		}
	}
	slices.Sort(out)
	return out, nil
}

func (f folder) block(number uint32) string {
	return filepath.Join(f.path, messagesDir, strconv.FormatUint(uint64(number), 10)+blockSuffix)
}

// foreign reports whether the blocks have a format that this package does not read.
func (f folder) foreign() bool {
	if _, err := os.Stat(filepath.Join(f.path, keyFile)); err == nil {
		return true
	}
	raw, err := os.ReadFile(filepath.Join(f.path, settingsFile))
	var settings struct {
		Compression string `json:"compression"`
	}
	return err == nil && json.Unmarshal(raw, &settings) == nil && settings.Compression != "" &&
		settings.Compression != "none"
}

// index is the part of the index of a stream that this package needs.
type index struct{ last uint64 }

// index reads the index; the zero value if it is missing or damaged, since the server rebuilds it.
func (f folder) index() (x index) {
	raw, err := os.ReadFile(filepath.Join(f.path, messagesDir, indexFile))
	if err != nil || len(raw) < 32 {
		return x
	}
	body, sum := raw[:len(raw)-sumSize], raw[len(raw)-sumSize:]
	if !bytes.Equal(newHasher(f.stream).sum(body), sum) {
		return x
	}
	numbers := body[2:] // after magic and version: messages, bytes, first sequence, time of it, last sequence
	for i := range 5 {
		value, n := binary.Uvarint(numbers)
		if n <= 0 {
			return index{}
		}
		numbers = numbers[n:]
		if i == 4 {
			x.last = value
		}
	}
	return x
}

// sound reports whether a settings file matches the checksum file in the same folder. If both are missing, it
// returns true: the server creates them.
func sound(dir, name string) bool {
	raw, err := os.ReadFile(filepath.Join(dir, settingsFile))
	sum, sumErr := os.ReadFile(filepath.Join(dir, settingsSum))
	if errors.Is(err, fs.ErrNotExist) && errors.Is(sumErr, fs.ErrNotExist) {
		return true
	}
	if err != nil || sumErr != nil {
		return false
	}
	return hex.EncodeToString(newHasher(name).sum(raw)) == string(sum) && json.Valid(raw)
}
