# files of man/
dist_man_MANS += man/bumpwire-tutorial.7 man/bumpwire.8 man/bumpwire.conf.5
