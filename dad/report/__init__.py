"""What is read: tables beside the paper's, figures, claims, the page. Drawn and written from frames and files."""
