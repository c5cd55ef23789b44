package secret

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// fromOnePassword reads by
//
//	op read op://VAULT/ITEM[/SECTION]/FIELD
//
// https://developer.1password.com/docs/cli/reference/commands/read
func fromOnePassword(ctx context.Context, rest string, o Options) (string, error) {
	// What follows a question mark is an attribute, as in ?attribute=otp.
	path, _, _ := strings.Cut(rest, "?")
	parts := strings.Split(path, "/")
	for _, part := range parts {
		if strings.TrimSpace(part) == "" {
			parts = nil
		}
	}
	if len(parts) != 3 && len(parts) != 4 {
		return "", errors.New("it is written op://VAULT/ITEM/FIELD or op://VAULT/ITEM/SECTION/FIELD")
	}
	answer, err := o.ask(ctx, "op", "read", "op://"+rest)
	return string(answer), err
}

var (
	// The characters of names and ARNs. A value like file://… would make aws read
	// that file.
	awsID     = regexp.MustCompile(`^[A-Za-z0-9/_+=.@:][A-Za-z0-9/_+=.@:-]*$`)
	awsRegion = regexp.MustCompile(`^[a-z]{2,}(?:-[a-z]+)+-[0-9]+$`)
)

// fromAWS reads by
//
//	aws secretsmanager get-secret-value --secret-id ID --output json [--region REGION]
//
// https://docs.aws.amazon.com/cli/latest/reference/secretsmanager/get-secret-value.html.
// The JSON has a SecretString, which may be JSON itself; with --output text, a
// secret that has none would be "None".
// Without a region it is AWS_REGION, which version 1 of aws does not heed, or
// what aws is configured for.
func fromAWS(ctx context.Context, rest string, o Options) (string, error) {
	id, key, err := cut(rest)
	if err != nil {
		return "", err
	}
	region := o.Getenv("AWS_REGION")
	if first, after, ok := strings.Cut(id, "/"); ok && awsRegion.MatchString(first) {
		region, id = first, after
	}
	if !awsID.MatchString(id) || strings.Contains(id, "://") {
		return "", errors.New("a name or ARN of AWS has letters, digits and /_+=.@:- only, and no - first")
	}
	args := []string{"secretsmanager", "get-secret-value", "--secret-id", id, "--output", "json"}
	if awsRegion.MatchString(region) {
		args = append(args, "--region", region)
	}
	answer, err := o.ask(ctx, "aws", args...)
	if err != nil {
		return "", err
	}
	whole, ok := object(answer)
	if !ok {
		return "", errors.New("the answer of aws is no JSON object")
	}
	text, ok := whole["SecretString"].(string)
	if !ok {
		return "", errors.New("it has no SecretString: it is binary, or not there")
	}
	fields, ok := object([]byte(text))
	if key == "" {
		if ok {
			return only(fields, "#KEY")
		}
		return text, nil
	}
	if !ok {
		return "", errors.New("what is there is no JSON object, in which a #KEY could be")
	}
	value, ok := fields[key]
	if !ok {
		return "", errors.New("what is there has no such #KEY")
	}
	return asText(value)
}

// fromVault reads by one of
//
//	vault kv get -field=FIELD PATH
//	vault kv get -format=json PATH
//
// https://developer.hashicorp.com/vault/docs/commands/kv/get. The JSON has the
// fields in data, and in data.data beside data.metadata for version 2 of the
// engine.
func fromVault(ctx context.Context, rest string, o Options) (string, error) {
	path, field, err := cut(rest)
	if err != nil {
		return "", err
	}
	if path == "" || path[0] == '-' || strings.HasPrefix(field, "-") {
		return "", errors.New("it is written vault://PATH#FIELD, and neither begins with -")
	}
	if field != "" {
		answer, err := o.ask(ctx, "vault", "kv", "get", "-field="+field, path)
		return string(answer), err
	}
	answer, err := o.ask(ctx, "vault", "kv", "get", "-format=json", path)
	if err != nil {
		return "", err
	}
	whole, _ := object(answer)
	fields, ok := whole["data"].(map[string]any)
	if !ok {
		return "", errors.New("the answer of vault is no JSON object with data")
	}
	if inner, ok := fields["data"].(map[string]any); ok && fields["metadata"] != nil {
		fields = inner
	}
	return only(fields, "#FIELD")
}

// fromSOPS reads by one of
//
//	sops -d --output-type json --extract '["A"]["B"]' PATH
//	sops -d --output-type json PATH
//
// https://getsops.io/docs. A text that was extracted comes as it is, whatever the
// output type; that keeps a branch from looking like a line of text.
func fromSOPS(ctx context.Context, rest string, o Options) (string, error) {
	path, keys, err := cut(rest)
	if err == nil {
		path, err = o.path(path)
	}
	if err != nil {
		return "", err
	}
	if path[0] == '-' {
		path = "./" + path
	}
	if keys == "" {
		answer, err := o.ask(ctx, "sops", "-d", "--output-type", "json", path)
		if err != nil {
			return "", err
		}
		fields, ok := object(answer)
		if !ok {
			return "", errors.New("the answer of sops is no JSON object")
		}
		return only(fields, "#A.B")
	}
	var tree strings.Builder
	for key := range strings.SplitSeq(keys, ".") {
		switch {
		case key == "" || strings.ContainsAny(key, `[]"'\`):
			return "", errors.New(`what follows # are keys with dots between them, without any of []"'\`)
		case strings.Trim(key, "0123456789") == "":
			fmt.Fprintf(&tree, "[%s]", key)
		default:
			fmt.Fprintf(&tree, `["%s"]`, key)
		}
	}
	answer, err := o.ask(ctx, "sops", "-d", "--output-type", "json", "--extract", tree.String(), path)
	return string(answer), err
}

// cut parts a reference at #.
func cut(rest string) (path, key string, err error) {
	path, key, ok := strings.Cut(rest, "#")
	if ok && strings.TrimSpace(key) == "" {
		err = errors.New("nothing follows #")
	}
	return path, key, err
}

// object decodes one JSON object. The errors of the decoder are not for people:
// they quote.
func object(text []byte) (fields map[string]any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err := d.Decode(&fields)
	_, end := d.Token()
	return fields, err == nil && end == io.EOF && fields != nil
}

// asText returns a value of JSON that is a text or a number.
func asText(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	}
	return "", errors.New("what is there is neither a text nor a number")
}

// only returns the value of the only field. selector is what would name one.
func only(fields map[string]any, selector string) (string, error) {
	if len(fields) != 1 {
		return "", fmt.Errorf("what is there has %d fields: name one by %s", len(fields), selector)
	}
	for _, value := range fields {
		return asText(value)
	}
	panic("unreachable")
}
