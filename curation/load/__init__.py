"""The room that training code imports; it imports only errors from other rooms."""
