"""Jobs in processes of their own: import, unpack."""
