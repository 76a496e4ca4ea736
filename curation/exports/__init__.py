"""A release in the forms that trainers read: one file a form."""
