package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"

	"midden/internal/cowrie"
)

// What the sightings of a file add up to is kept in file_sums, in pieces, as long as the file has
// many: who asks for it reads a few rows, and not hundreds of thousands.

// manySightings is from how many on. To read fewer takes a few milliseconds.
const manySightings = 1000

// addedSighting is a sighting that a batch adds. brought says that its session had not brought the
// file before.
type addedSighting struct {
	*cowrie.Sighting
	brought bool
}

func sumsOfFile(shasum string) sumsOf { return sumsOf{"file_sums", []string{"shasum"}, []any{shasum}} }

// flushFileSums adds the sightings of the batch, which are stored, to what is kept of their files.
// before has how many sightings these had, and pieces how many there are of each level.
func (a *appending) flushFileSums(before map[string]int64, pieces map[string]map[int]int) error {
	sums := map[string]*cowrie.Sums{}
	for _, shasum := range sortedKeys(a.files) {
		had, has := before[shasum] >= manySightings, a.files[shasum].Sightings >= manySightings
		switch {
		case had && has:
			sums[shasum] = &cowrie.Sums{}
		case had || has:
			if err := a.remakeFileSums(a.files[shasum]); err != nil {
				return err
			}
		}
	}
	for _, s := range a.added {
		if of := sums[s.Shasum]; of != nil {
			of.AddSighting(s.Sighting, s.brought)
		}
	}
	a.added = nil
	for _, shasum := range sortedKeys(sums) {
		body := sums[shasum].Pack()
		if body == nil || pieces[shasum] == nil { // nothing is kept, for whatever reason
			continue
		}
		err := a.addPiece(sumsOfFile(shasum), body, pieces[shasum])
		if errors.Is(err, errDamagedSums) {
			err = a.remakeFileSums(a.files[shasum])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// piecesOfFiles returns how many pieces of each level are kept of those files that have many sightings.
func (a *appending) piecesOfFiles(files map[string]*cowrie.File) (map[string]map[int]int, error) {
	var ids []any
	for _, shasum := range sortedKeys(files) {
		if files[shasum].Sightings >= manySightings {
			ids = append(ids, shasum)
		}
	}
	pieces := map[string]map[int]int{}
	err := a.s.inLists(ids, func(list string, args []any) error {
		return a.each(`SELECT shasum, level, count(*) FROM file_sums WHERE shasum `+list+` GROUP BY shasum, level`, args,
			func(scan func(...any) error) error {
				var shasum string
				var level, n int
				err := scan(&shasum, &level, &n)
				if pieces[shasum] == nil {
					pieces[shasum] = map[int]int{}
				}
				pieces[shasum][level] = n
				return err
			})
	})
	return pieces, err
}

// remakeFileSums keeps what the stored sightings of a file add up to, if there are many.
func (a *appending) remakeFileSums(f *cowrie.File) error {
	of := sumsOfFile(f.Shasum)
	a.later(`DELETE FROM file_sums WHERE shasum = $1`, f.Shasum)
	if f.Sightings < manySightings {
		return nil
	}
	body, err := countSightings(a.ctx, a.ask, f.Shasum)
	if err != nil {
		return err
	}
	return a.addPiece(of, body, nil)
}

// countSightings returns what the sightings of a file add up to, packed.
func countSightings(ctx context.Context, ask asking, shasum string) ([]byte, error) {
	var sums cowrie.Sums
	var s cowrie.Sighting
	sessions := map[string]bool{}
	var session sql.RawBytes
	err := ask(ctx, `SELECT session_id, src_ip, sensor, filename, destfile, download_url, kind FROM file_sightings WHERE shasum = $1`,
		[]any{shasum}, func(scan func(...any) error) error {
			if err := scan(&session, scanText{&s.SrcIP}, scanText{&s.Sensor}, scanText{&s.Filename}, scanText{&s.Destfile},
				scanText{&s.URL}, (*string)(&s.Kind)); err != nil {
				return err
			}
			brought := len(session) > 0 && !sessions[string(session)]
			if brought {
				sessions[string(session)] = true
			}
			sums.AddSighting(&s, brought)
			return nil
		})
	return sums.Pack(), err
}

// keptSightings returns what is kept of a file, in pieces; none if nothing is.
func (s *Store) keptSightings(ctx context.Context, ask asking, shasum string) (pieces [][]byte, err error) {
	of := sumsOfFile(shasum)
	err = ask(ctx, `SELECT body FROM file_sums WHERE shasum = $1`, of.key, func(scan func(...any) error) error {
		var packed sql.RawBytes
		if err := scan(&packed); err != nil {
			return err
		}
		body, err := s.openSums(of, packed)
		pieces = append(pieces, body)
		return err
	})
	return pieces, err
}

// WrongFileSums calls f for each file of which something else is kept than its sightings add up to.
func (sn *Snapshot) WrongFileSums(ctx context.Context, f func(shasum string, damage error) error) error {
	var files []string
	err := sn.each(ctx, `SELECT shasum FROM files WHERE sighting_count >= $1 UNION SELECT shasum FROM file_sums ORDER BY shasum`,
		[]any{manySightings}, func(scan func(...any) error) error {
			var shasum string
			err := scan(&shasum)
			files = append(files, shasum)
			return err
		})
	for i := 0; err == nil && i < len(files); i++ {
		err = sn.wrongFileSums(ctx, files[i], f)
	}
	return err
}

func (sn *Snapshot) wrongFileSums(ctx context.Context, shasum string, f func(shasum string, damage error) error) error {
	pieces, err := sn.s.keptSightings(ctx, sn.each, shasum)
	var kept, counted []byte
	if err == nil {
		if kept, err = cowrie.MergeSums(pieces...); err != nil {
			err = damagedSums(sumsOfFile(shasum), err)
		}
	}
	if errors.Is(err, errDamagedSums) {
		return f(shasum, err)
	}
	if err == nil {
		counted, err = countSightings(ctx, sn.each, shasum)
	}
	if err != nil || bytes.Equal(kept, counted) {
		return err
	}
	return f(shasum, nil)
}
