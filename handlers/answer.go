package handlers

import (
	"encoding/json"
	"net/http"
	"strconv"
	"unicode/utf8"

	"kycbridge"
)

// answer writes the response for a receipt or an error (docs/configure.md, Answers) and returns the outcome's name
// and the status.
func answer(
	w http.ResponseWriter, account *kycbridge.Account, receipt kycbridge.Receipt, err error,
) (outcome string, status int) {
	if err != nil {
		p := problemFor(err)
		p.write(w, nil)
		return p.name, p.status
	}
	if kind := rejection(account, receipt); kind != nil {
		p := problemFor(kind)
		p.write(w, appendReceipt(nil, receipt))
		return receipt.Status, p.status
	}
	b := make([]byte, 0, 192)
	b = append(b, `{"status":`...)
	b = appendString(b, receipt.Status)
	b = appendReceipt(b, receipt)
	b = append(b, '}')
	writeBody(w, http.StatusOK, "application/json", b)
	return receipt.Status, http.StatusOK
}

// rejection is the error kind of a quarantined payload if the account rejects invalid ones, or nil.
func rejection(account *kycbridge.Account, receipt kycbridge.Receipt) error {
	if receipt.Status != kycbridge.ReceiptQuarantined || !account.RejectInvalid {
		return nil
	}
	switch receipt.Reason {
	case kycbridge.QuarantineMalformed:
		return errMalformed
	case kycbridge.QuarantineSchema, kycbridge.QuarantineUnidentified, kycbridge.QuarantineForeign:
		return errInvalid
	}
	return nil
}

// appendReceipt appends the members of a receipt except its status, each after a comma. A quarantined one
// always has errors, possibly an empty list.
func appendReceipt(b []byte, receipt kycbridge.Receipt) []byte {
	b = appendMember(b, "payload_id", receipt.PayloadID)
	b = appendMember(b, "verification_id", receipt.VerificationID)
	if receipt.Status != kycbridge.ReceiptQuarantined {
		return b
	}
	b = appendMember(b, "reason", receipt.Reason)
	b = append(b, `,"errors":[`...)
	for i, e := range receipt.Errors {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"path":`...)
		b = appendString(b, e.Path)
		b = append(b, `,"message":`...)
		b = appendString(b, e.Message)
		b = append(b, '}')
	}
	return append(b, ']')
}

// appendMember appends ,"name":"value" unless value is empty.
func appendMember(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return appendString(b, value)
}

// appendString appends s as a JSON string. Text without escapes, nearly all, is copied.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, _ := json.Marshal(s) // encoding a string never fails
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// writeBody sends a response. A failed write means that the caller has disconnected. It ends with a line
// break, so that a shell prompt starts on a new line.
func writeBody(w http.ResponseWriter, status int, mediaType string, body []byte) {
	body = append(body[:len(body):len(body)], '\n')
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
