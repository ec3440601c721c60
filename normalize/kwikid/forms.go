package kwikid

import "kycbridge/document"

// Forms describes the JSON of this provider: some objects and lists of a session were observed as JSON inside a
// string, so each that is read may be.
func Forms() document.Forms {
	return document.Forms{Nested: []string{"extras", "location", "captured_images", "feedback", "summary_data",
		"user_info", "session_data", "docs", "details", "facematch_score", "validator", "overall_summary"}}
}
