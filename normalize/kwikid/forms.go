package kwikid

import "kycbridge/document"

// Forms says what is special about the JSON of this provider: objects of a session are observed as JSON
// inside a string.
func Forms() document.Forms {
	return document.Forms{Nested: []string{"extras", "location", "captured_images", "feedback", "summary_data",
		"user_info", "session_data"}}
}
