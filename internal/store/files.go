package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"midden/internal/cowrie"
)

// File is what is known of one content.
type File = cowrie.KnownFile

// FileFilter says which files. The zero value of a field asks for nothing.
type FileFilter struct {
	Since, Until cowrie.Time // of a sighting; NoTime asks for nothing
	Sensor       string
	Session      string
	Kind         cowrie.Kind
	Name         string // part of a file name or a path, or a pattern with * and ?
	URL          string // the same, of a URL
	Status       string
	Type         string // part of a media type, or a pattern
	Machine      string // of an ELF file, as cowrie.Content has it
	MinSize      int64  // bytes
	MaxSize      int64  // bytes; 0 asks for nothing
	DiskOnly     bool   // no event speaks of it
	Limit        int    // 0: all
}

const fileColumns = `f.shasum, f.session_id, f.filename, f.filename_at, f.download_url, f.download_url_at,
	f.first_seen, f.last_seen, f.sighting_count, f.file_size, f.mime_type, f.vt_classification, f.vt_description,
	f.vt_malicious, f.vt_total, f.vt_first_seen, f.vt_last_analysis, f.vt_checked_at, f.enrichment_status,
	f.disk_only, f.sha1, f.md5, f.entropy, f.head, f.interpreter, f.elf_class, f.elf_byte_order, f.elf_machine,
	f.elf_linkage, f.elf_stripped`

func scanFile(scan func(...any) error) (*File, error) {
	f := &File{}
	err := scan(&f.Shasum, scanText{&f.Session}, scanText{&f.Name}, scanTime{&f.NameAt}, scanText{&f.URL},
		scanTime{&f.URLAt}, scanTime{&f.First}, scanTime{&f.Last}, &f.Sightings, &f.Size, scanText{&f.MimeType},
		scanText{&f.VTClassification}, scanText{&f.VTDescription}, &f.VTMalicious, &f.VTTotal,
		scanTime{&f.VTFirstSeen}, scanTime{&f.VTLastAnalysis}, scanTime{&f.VTCheckedAt}, &f.EnrichmentStatus,
		&f.DiskOnly, scanText{&f.SHA1}, scanText{&f.MD5}, &f.Entropy, scanText{&f.Head}, scanText{&f.Interpreter},
		&f.ELFClass, scanText{&f.ELFOrder}, scanText{&f.ELFMachine}, scanText{&f.ELFLinkage}, &f.ELFStripped)
	return f, err
}

// Files calls f for each file that fits, the one seen last first.
func (s *Store) Files(ctx context.Context, q FileFilter, f func(*File) error) error {
	var where conditions
	if q.Status != "" {
		where.add("f.enrichment_status = ?", q.Status)
	}
	if q.Type != "" {
		where.add(s.like("f.mime_type"), likePattern(q.Type))
	}
	if q.Machine != "" {
		where.add("f.elf_machine = ?", strings.ToLower(q.Machine))
	}
	if q.MinSize > 0 {
		where.add("f.file_size >= ?", q.MinSize)
	}
	if q.MaxSize > 0 {
		where.add("f.file_size <= ?", q.MaxSize)
	}
	if q.DiskOnly {
		where.add("f.disk_only")
	}
	// What asks for sightings asks for one sighting that fits all of it.
	var sight conditions
	sight.times("s.seen_at", cowrie.Time.String, q.Since, q.Until)
	if q.Sensor != "" {
		sight.add("s.sensor = ?", q.Sensor)
	}
	if q.Session != "" {
		sight.add("s.session_id = ?", q.Session)
	}
	if q.Kind != "" {
		sight.add("s.kind = ?", string(q.Kind))
	}
	if q.Name != "" {
		p := likePattern(q.Name)
		sight.add("("+s.like("s.filename")+" OR "+s.like("s.destfile")+" OR "+s.like("s.destfile")+")", p, p, "%/"+p)
	}
	if q.URL != "" {
		sight.add(s.like("s.download_url"), likePattern(q.URL))
	}
	if q.Session != "" {
		where.add("f.shasum IN (SELECT s.shasum FROM file_sightings s WHERE "+sight.text()+")", sight.args...)
	} else if len(sight.parts) > 0 {
		// A file outside of the times has no sighting inside of them.
		where.times("f.last_seen", cowrie.Time.String, q.Since, cowrie.NoTime)
		where.add("EXISTS (SELECT 1 FROM file_sightings s WHERE s.shasum = f.shasum AND "+sight.text()+")", sight.args...)
	}
	query := `SELECT ` + fileColumns + ` FROM files f` + where.clause() + ` ORDER BY f.last_seen DESC NULLS LAST, f.shasum` + limit(q.Limit)
	return s.each(ctx, query, where.args, func(scan func(...any) error) error {
		file, err := scanFile(scan)
		if err != nil {
			return err
		}
		return f(file)
	})
}

// FindFile returns the file whose hash begins with a prefix. The error is
// ErrNotFound or ErrAmbiguous.
func (s *Store) FindFile(ctx context.Context, prefix string) (*File, error) {
	prefix = strings.ToLower(strings.TrimSpace(prefix))
	if prefix == "" || strings.Trim(prefix, "0123456789abcdef") != "" || len(prefix) > 64 {
		return nil, fmt.Errorf("%q is not a SHA-256 or the beginning of one", prefix)
	}
	var found []*File
	err := s.each(ctx, `SELECT `+fileColumns+` FROM files f WHERE f.shasum >= $1 AND f.shasum < $2 LIMIT 2`,
		[]any{prefix, prefix + "g"}, func(scan func(...any) error) error {
			f, err := scanFile(scan)
			found = append(found, f)
			return err
		})
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, fmt.Errorf("%w: no file's hash begins with %s", ErrNotFound, prefix)
	case len(found) > 1:
		return nil, fmt.Errorf("%w: more than one file's hash begins with %s, give more of it", ErrAmbiguous, prefix)
	}
	return found[0], nil
}

// Sighting is a stored sighting.
type Sighting struct {
	cowrie.Sighting
	// Where its event stands: in a segment, or in raw_events.
	SegmentID, RawEventID int64
}

// Sightings calls f for the sightings of a file, or of a session, in order of
// time; limit 0 is all of them.
func (s *Store) Sightings(ctx context.Context, shasum, session string, max int, f func(*Sighting) error) error {
	var where conditions
	if shasum != "" {
		where.add("shasum = ?", shasum)
	}
	if session != "" {
		where.add("session_id = ?", session)
	}
	return s.each(ctx, `SELECT shasum, session_id, sensor, src_ip, kind, seen_at, filename, destfile, download_url,
		outfile, duplicate, coalesce(segment_id, 0), coalesce(event_index, 0), coalesce(raw_event_id, 0) FROM file_sightings`+where.clause()+
		` ORDER BY seen_at NULLS FIRST, id`+limit(max), where.args, func(scan func(...any) error) error {
		row := &Sighting{}
		var kept *string
		if err := scan(&row.Shasum, &row.Session, scanText{&row.Sensor}, scanText{&row.SrcIP}, &row.Kind,
			scanTime{&row.SeenAt}, scanText{&row.Filename}, scanText{&row.Destfile}, scanText{&row.URL},
			&kept, &row.Duplicate, &row.SegmentID, &row.Event, &row.RawEventID); err != nil {
			return err
		}
		row.Outfile = outfile(kept, row.Shasum)
		return f(row)
	})
}

// Count is a value and how often it occurs.
type Count struct {
	Value string
	Count int64
}

// FileFacts are what the sightings of a file have in common: how many
// different values there are, and the most frequent ones.
type FileFacts struct {
	Sessions, Addresses, Sensors int64
	TopAddresses, TopSensors     []Count
	Names, Paths, URLs, Kinds    []Count
}

// topValues is how many values of a column FileFacts name.
const topValues = 10

// FileFacts returns what the sightings of a file have in common.
func (s *Store) FileFacts(ctx context.Context, shasum string) (*FileFacts, error) {
	pieces, err := s.keptSightings(ctx, s.each, shasum)
	facts, damage := factsOf(pieces)
	// What is damaged is told by verify; the sightings are there.
	if errors.Is(err, errDamagedSums) || err == nil && (len(pieces) == 0 || damage != nil) {
		var counted []byte
		if counted, err = countSightings(ctx, s.each, shasum); err == nil {
			facts, err = factsOf([][]byte{counted})
		}
	}
	return facts, err
}

// factsOf adds up the sums of a file's sightings.
func factsOf(pieces [][]byte) (*FileFacts, error) {
	f := &FileFacts{}
	lists := map[cowrie.SumOf]*[]Count{cowrie.SumAddress: &f.TopAddresses, cowrie.SumIPv4: &f.TopAddresses, cowrie.SumSensor: &f.TopSensors,
		cowrie.SumFilename: &f.Names, cowrie.SumDestfile: &f.Paths, cowrie.SumURL: &f.URLs, cowrie.SumKind: &f.Kinds}
	err := cowrie.EachSum(func(sum *cowrie.Sum) {
		switch sum.Of {
		case cowrie.SumBrought:
			f.Sessions = sum.N
		case cowrie.SumAddress, cowrie.SumIPv4:
			f.Addresses++
		case cowrie.SumSensor:
			f.Sensors++
		}
		list := lists[sum.Of]
		if list == nil || len(*list) == topValues && sum.N < (*list)[topValues-1].Count {
			return // of very many addresses nearly all end here
		}
		value := sum.Text
		if sum.Of == cowrie.SumIPv4 {
			value = cowrie.AppendIPv4(nil, uint32(sum.Number))
		}
		*list = addTop(*list, Count{string(value), sum.N})
	}, pieces...)
	return f, err
}

// addTop adds a value to the most frequent ones, if it is one of them.
func addTop(list []Count, one Count) []Count {
	i, _ := slices.BinarySearchFunc(list, one, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
	})
	list = slices.Insert(list, i, one)
	return list[:min(len(list), topValues)]
}
