package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"

	"midden/internal/cowrie"
)

// Sources returns the sources whose first record has a fingerprint, the least
// read ones first.
func (s *Store) Sources(ctx context.Context, fingerprint string) ([]cowrie.Source, error) {
	var list []cowrie.Source
	newest := int64(0)
	err := s.each(ctx, `SELECT id, position, digest, digest_state, tail FROM sources
		WHERE fingerprint = $1 ORDER BY position, id`, []any{fingerprint}, func(scan func(...any) error) error {
		src := cowrie.Source{Fingerprint: fingerprint}
		err := scan(&src.ID, &src.Mark.Position, &src.Mark.Digest, &src.Mark.State, &src.Mark.Tail)
		newest = max(newest, src.ID)
		list = append(list, src)
		return err
	})
	for i := range list {
		list[i].Newest = newest
	}
	return list, err
}

// File returns what a path held when it was last looked at; nil if it never was.
func (s *Store) File(ctx context.Context, path string) (*cowrie.FileState, error) {
	f := &cowrie.FileState{Path: path}
	var inode string
	var source sql.NullInt64
	err := s.db.QueryRowContext(ctx, `SELECT inode, size, mod_time, source_id, pending_bytes, problem FROM log_files
		WHERE path = $1`, path).Scan(&inode, &f.Size, &f.ModTime, &source, &f.Pending, scanText{&f.Problem})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, s.explain(err)
	}
	f.Inode, _ = strconv.ParseUint(inode, 10, 64)
	if source.Valid {
		f.Source = &cowrie.Source{ID: source.Int64}
	}
	return f, nil
}
